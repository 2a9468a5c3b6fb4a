"""What may be a symbol, wherever one is given: settings, command line, a form in the Prefect UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RoboError

if TYPE_CHECKING:
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger

LONGEST = 12
BEGINNING = datetime.min.replace(tzinfo=UTC)


def checked_symbols(symbols: Sequence[str]) -> list[str]:
    """Return the symbols in capital letters; ValueError for one that is none or named twice."""
    found = [symbol.strip().upper() for symbol in symbols]
    for symbol in found:
        bare = symbol.replace(".", "").replace(" ", "").replace("-", "")
        if not (bare.isascii() and bare.isalnum() and len(symbol) <= LONGEST):
            raise ValueError(f"{symbol!r} is no symbol")
    if len(set(found)) != len(found):
        raise ValueError("a symbol is named twice")
    return found


def require_symbols(symbols: Sequence[str], source: str) -> list[str]:
    """Return the symbols in capital letters; InvalidInput that names `source` for a wrong one."""
    try:
        return checked_symbols(symbols)
    except ValueError as error:
        raise InvalidInput(
            f"{source}: {error}; give letters and digits, such as AAPL or BRK B, each symbol once"
        ) from None


def require_known_symbol(settings: Settings, symbol: str, source: str) -> str:
    """Return one symbol in capital letters; InvalidInput for a wrong one, or one never traded.

    A misspelt one would let the meant one trade on. The ledger is asked only about what is not in
    ROBO_UNIVERSE; where it does not answer, the symbol passes.
    """
    [name] = require_symbols([symbol], source)
    if name in settings.universe or name in _traded(settings, name):
        return name
    raise InvalidInput(
        f"{source}: {name} is neither among ROBO_UNIVERSE nor held or ever ordered by this system; "
        "nothing was changed: check the spelling (without a symbol, everything is meant)"
    )


def _traded(settings: Settings, asked: str) -> set[str]:
    from tasks.stores import open_ledger

    try:
        with open_ledger(settings) as ledger:
            ordered = {order.symbol for order in ledger.parents.decided_since(BEGINNING)}
            return ordered | set(_held(ledger))
    except RoboError:
        return {asked}


def _held(ledger: OrderLedger) -> dict[str, int]:
    account = ledger.accounts.latest_account()
    return ledger.executions.positions(account) if account else {}
