"""What a universe needs of market and plan: shares by hand, facts, limits, parent orders."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from scenarios import Trade

from models.domain.orders import ParentOrder
from models.domain.regimes import Regime
from models.domain.sessions import TradingSession, exchange_date, session_on
from tasks.broker.clock import ask_control
from tasks.broker.market_data import DataConnection
from tasks.broker.protocol import ApiAddress
from tasks.settings import Settings
from tasks.stores import open_ledger
from warehouse.ledger.symbol_facts import SymbolFacts

HOST = "127.0.0.1"
ONLOOKER = 78  # an API client id of nobody else's
LIMITS = """
max_orders_per_minute = 1800
duplicate_window = 0
max_position_weight = 1.0
max_price_gap = 1.0
[exits]
mode = "{exits}"
"""


def write_limits(path: Path, exits: str) -> None:
    """Write the limits that every process of a universe reads."""
    path.write_text(LIMITS.format(exits=exits))


def market_time(control_port: int) -> datetime:
    return datetime.fromisoformat(ask_control(HOST, control_port, {"op": "time"})["now"])


def buy_by_hand(control_port: int, shares: dict[str, int]) -> None:
    """Buy as a person does at the broker's own screen, a minute into the session."""
    if not shares:
        return
    now = market_time(control_port)
    opened = max(_day(now).open, now) + timedelta(minutes=1)
    _advance(control_port, opened)
    for symbol, count in shares.items():
        order = {"op": "order", "symbol": symbol, "action": "BUY", "quantity": count}
        ask_control(HOST, control_port, order)
    _advance(control_port, opened + timedelta(seconds=20))
    status = ask_control(HOST, control_port, {"op": "status"})
    assert not status["orders"]["working"], status["orders"]


def note_facts(settings: Settings, ranges: dict[str, float]) -> None:
    """Note what a plan would have: each symbol's last close, volume and true range in USD."""
    if not ranges:
        return
    now = market_time(settings.control_port)
    day = _day(now)
    closes = asyncio.run(_closes(settings, sorted(ranges), day))
    facts = [SymbolFacts(s, closes[s], 1e7, atr, Regime.BULL) for s, atr in ranges.items()]
    with open_ledger(settings) as ledger:
        ledger.facts.note(day.date, facts, day.open - timedelta(hours=1))


def plan(settings: Settings, phase: int, trades: tuple[Trade, ...]) -> None:
    """Put the parents of one phase into the ledger, to begin in two minutes of market time."""
    now = market_time(settings.control_port)
    day = _day(now)
    start = max(day.open, now) + timedelta(minutes=2)
    end = start + timedelta(minutes=2 * settings.slices)
    assert end < day.close, "the phases of a universe last longer than its day"
    parents = [
        ParentOrder(
            f"{day.date:%Y%m%d}-soak{phase}-{trade.side}-{trade.symbol}", day.date, "soak",
            trade.symbol, trade.side, trade.quantity, trade.algo, start, end, Decimal(100),
            day.open - timedelta(hours=1), "none",
        )
        for trade in trades
    ]  # fmt: skip
    with open_ledger(settings) as ledger:
        ledger.parents.add(parents)


def _day(now: datetime) -> TradingSession:
    day = session_on(exchange_date(now))
    assert day is not None
    return day


def _advance(control_port: int, to: datetime) -> None:
    ask_control(HOST, control_port, {"op": "advance", "to": to.isoformat()})


async def _closes(
    settings: Settings, symbols: list[str], day: TradingSession
) -> dict[str, Decimal]:
    there = ApiAddress(HOST, settings.port, ONLOOKER)
    link = await DataConnection.open(there, settings.broker_timeout)
    first, last = day.date - timedelta(days=9), day.date - timedelta(days=1)
    try:
        bars = {symbol: await link.daily_bars(symbol, first, last) for symbol in symbols}
    finally:
        await link.close()
    return {s: Decimal(str(round(found["close"].iloc[-1], 2))) for s, found in bars.items()}
