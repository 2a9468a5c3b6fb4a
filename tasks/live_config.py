"""The approval of a live configuration: a hash of all that decides what would be traded.

The operator reads it in `robo doctor`, judges the configuration, and signs it by setting
ROBO_LIVE_CONFIG to it. Any later change of a limit, a setting or the program takes it back.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from tasks.settings import Settings

DECIDES = (
    "mode",
    "host",
    "port",
    "account",
    "client_id",
    "clock",
    "universe",
    "slices",
    "min_child_usd",
    "limit_offset_bps",
    "allow_live_account",
)
LENGTH = 16  # hexadecimal digits


def live_fingerprint(settings: Settings) -> str:
    """Return the hash of the program, the limits file and the settings that decide.

    Raises InvalidInput when there is no limits file: nothing live without written limits.
    """
    from tasks.program_version import code_hash

    try:
        limits = settings.limits_path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{settings.limits_path} cannot be read ({error.strerror}); a live account needs its "
            "risk limits in that file"
        ) from error
    digest = hashlib.sha256(limits + code_hash().encode())
    for name in DECIDES:
        digest.update(f"\0{name}={getattr(settings, name)}".encode())
    return digest.hexdigest()[:LENGTH]
