"""Secrets and account ids out of everything that is written: logs, tracebacks, states, alerts.

Where a secret is known it is replaced; account ids of paper and live accounts are recognised by
their form as well, since the broker tells them. Both are a second line: no text is made with them.
"""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any
from urllib.parse import unquote, urlsplit

from tasks.masking import MASK, mask_account

ACCOUNT = re.compile(r"\b(?:DU|DF|U|F)[A-Z]?\d{5,10}\b")
SHORTEST = 6  # a shorter secret would be found inside ordinary words

_secrets: set[str] = set()
_masks_accounts: list[bool] = [False]


def keep_secret(*texts: str) -> None:
    """Replace these texts from now on wherever this process writes."""
    _secrets.update(text for text in texts if len(text) >= SHORTEST)


def secrets_of(url: str) -> list[str]:
    """Return the password of a database URL, as written and as meant."""
    parts = urlsplit(url)
    found = [parts.password or "", unquote(parts.password or "")]
    return found + re.findall(r"password=([^&]+)", parts.query)


def mask_accounts() -> None:
    """Also mask whatever looks like a paper or live account id from now on."""
    _masks_accounts[0] = True


def redact(text: str) -> str:
    """Return `text` without secrets and, outside mode simulated, without account ids."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if _masks_accounts[0]:
        text = ACCOUNT.sub(lambda found: mask_account(found.group()), text)
    return text


def redact_error(error: BaseException) -> None:
    """Redact the texts that an exception carries, in place: a state or a traceback shows them."""
    error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)


def guard_logging() -> None:
    """Let every log record of this process be redacted where it is made; once."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def redacted(*parts: Any, **fields: Any) -> logging.LogRecord:
        record = make(*parts, **fields)
        if _secrets or _masks_accounts[0]:
            record.msg, record.args = redact(record.getMessage()), ()
            if record.exc_info and record.exc_info[0] is not None:
                shown = "".join(traceback.format_exception(*record.exc_info))
                record.exc_text = redact(shown.rstrip("\n"))
        return record

    redacted.redacts = True  # pyright: ignore[reportFunctionMemberAccess]
    logging.setLogRecordFactory(redacted)
