"""Which program text and which limits this process runs with, as short hashes."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from models.domain.errors import HaltTrading
from tasks.settings import project_root
from warehouse.ledger.working_versions import WorkingVersion

if TYPE_CHECKING:
    from datetime import date, datetime

    from models.risk.limits import RiskLimits
    from warehouse.ledger import OrderLedger

ROOMS = ("flows", "models", "tasks", "warehouse")
LENGTH = 12  # hexadecimal digits


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return the hash of every program text and migration of this checkout (some 10 ms, once)."""
    digest = hashlib.sha256()
    root = project_root()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in {".py", ".sql"}:
                digest.update(str(path.relative_to(root)).encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:LENGTH]


def limits_hash(limits: RiskLimits) -> str:
    """Return the hash of the limits' values, whatever the file's layout and comments."""
    return hashlib.sha256(_canonical(limits).encode()).hexdigest()[:LENGTH]


def working_version(limits: RiskLimits) -> WorkingVersion:
    """Return what this process would work a session with."""
    return WorkingVersion(code_hash(), limits_hash(limits))


def require_version(
    ledger: OrderLedger, session: date, version: WorkingVersion, now: datetime
) -> None:
    """Note the version that begins a session's parents; refuse to go on with them in another.

    Raises HaltTrading that names both and how a person lets the new one in.
    """
    noted = ledger.versions.of_session(session)
    if not noted:
        ledger.versions.note(session, version, now)
    elif version not in noted:
        raise HaltTrading(
            f"the orders of {session} were begun by {noted[-1]}, and this is {version}: run the "
            "version that began them, or, if the change is meant, let this one in by `robo resume "
            "--reason ...`; nothing was sent"
        )


def _canonical(value: Any) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        inside = sorted((f.name, _canonical(getattr(value, f.name))) for f in fields(value))
        return repr(inside)
    if isinstance(value, frozenset):
        return repr(sorted(map(str, value)))
    return repr(float(value)) if isinstance(value, (int, float)) else repr(value)
