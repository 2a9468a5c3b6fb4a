"""What of an account id or a database URL may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

MASK = "********"


def mask_account(account: str) -> str:
    """Return an account id with all but its first two and last two characters hidden."""
    return account if len(account) < 6 else f"{account[:2]}{'*' * (len(account) - 4)}{account[-2:]}"


def mask_password(url: str) -> str:
    """Return a database URL with its password replaced."""
    parts = urlsplit(url)
    if parts.password is None and "password=" not in parts.query:
        return url
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:{MASK}@{host}" if user else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
