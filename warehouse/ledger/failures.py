"""What a database failure asks of the caller, in the words of the domain's error tree."""

from __future__ import annotations

import sqlite3
from types import TracebackType

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from models.domain.errors import HaltTrading, InvalidInput, RetryLater, RoboError

_BUSY = ("database is locked", "database table is locked", "database schema is locked")
_BUSY_POSTGRES = ("lock timeout", "canceling statement due to lock", "deadlock detected")
_AWAY = ("connection refused", "connection timed out", "server closed", "could not translate host")
_CORRUPT = ("not a database", "malformed", "file is encrypted")
_UNUSABLE = ("unable to open database", "readonly database", "permission denied")
_FULL = ("disk is full", "no space left", "disk i/o error")


class FailuresTranslated:
    """A block whose database exceptions become the domain's, naming `place`.

    Raises RetryLater (locked or away), InvalidInput (unusable or corrupt) or HaltTrading (a full
    disk, a constraint that refused a row): without a journal nothing may be sent.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Translate what ended the block, if a database did."""
        place = self._place
        if isinstance(error, DBAPIError):
            is_away, refused = error.connection_invalidated, isinstance(error, IntegrityError)
            raise failure_of(error.orig, place, is_away=is_away, refused=refused) from error
        if isinstance(error, sqlite3.Error):
            refused = isinstance(error, sqlite3.IntegrityError)
            raise failure_of(error, place, refused=refused) from error
        if isinstance(error, SQLAlchemyError):
            raise RetryLater(
                f"the order ledger {place} could not be used ({error}); try again"
            ) from error


def failure_of(
    error: BaseException | None, place: str, *, refused: bool, is_away: bool = False
) -> RoboError:
    """Return the domain error that a driver's error stands for.

    `refused`: a constraint was hurt; `is_away`: the connection is gone.
    """
    cause = " ".join(str(error).split())
    lowered = cause.lower()
    if refused:
        return HaltTrading(
            f"the order ledger {place} refused a row ({cause}); trading stops because two records "
            "contradict each other: run robo reconcile and look at the child orders"
        )
    if any(sign in lowered for sign in (*_BUSY, *_BUSY_POSTGRES)):
        return RetryLater(
            f"the order ledger {place} is locked by another process ({cause}); "
            "wait for it to end, or end it, then run this again"
        )
    if any(sign in lowered for sign in _CORRUPT):
        return InvalidInput(
            f"{place} is not a usable SQLite file ({cause}); send no order, and restore a backup: "
            "robo ledger restore BACKUP --force keeps what is left of it"
        )
    if any(sign in lowered for sign in _FULL):
        return HaltTrading(
            f"the order ledger {place} cannot be written ({cause}); free space on its disk: "
            "no order is sent without its journal"
        )
    if any(sign in lowered for sign in _UNUSABLE):
        return InvalidInput(
            f"the order ledger {place} cannot be opened for writing ({cause}); "
            "make the file and its folder writable, or name another in ROBO_LEDGER_URL"
        )
    if any(sign in lowered for sign in _AWAY) or is_away:
        return RetryLater(
            f"the order ledger {place} does not answer ({cause}); start the database and try again"
        )
    return InvalidInput(f"the order ledger {place} failed: {cause}; run robo doctor")
