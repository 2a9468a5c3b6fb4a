"""Which day a session works, whether there is work, and what the account is worth before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.errors import SkipToday
from models.domain.sessions import TradingSession, exchange_date, next_session, session_on
from tasks.books.account_worth import comparable_worths
from tasks.broker.codes import CONNECTIVITY_LOST, CONNECTIVITY_RESTORED
from tasks.broker.protocol import BrokerNotice, GatewayUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date, datetime

    from models.domain.clock import Clock
    from models.risk.limits import RiskLimits
    from tasks.broker.market_data import DataConnection
    from tasks.broker.protocol import BrokerEvent, Evidence
    from tasks.session.account import AccountBook
    from warehouse.ledger import OrderLedger


def session_to_work(ledger: OrderLedger, asked: date | None, now: datetime) -> TradingSession:
    """Return the session to work: the one asked for, today's, or after its close the next.

    Today's stays the one while a parent of it has not ended, so that the close is recorded.
    """
    today = exchange_date(now)
    session = session_on(asked or today)
    if session is None:
        raise SkipToday(f"market closed: {asked or today} is no session of the exchange")
    if asked is not None or now < session.close:
        return session
    records = ledger.parents.of_session(session.date)
    if any(not record.state.is_terminal for record in records):
        return session
    return next_session(session.date)


def require_work(
    ledger: OrderLedger,
    day: TradingSession,
    executions: Mapping[str, object],
    clock: Clock,
    longest_wait: float,
) -> None:
    """Raise SkipToday when there is no plan, nothing left of it, or the open is too far away.

    `longest_wait` is in wall-clock seconds.
    """
    if not ledger.parents.of_session(day.date):
        raise SkipToday(f"nothing to execute on {day.date}: no plan; run `robo rebalance`")
    if not executions:
        raise SkipToday(f"nothing left to execute on {day.date}: every parent has ended")
    wait = clock.wall_seconds_until(day.open)
    if wait > longest_wait:
        raise SkipToday(
            f"market closed: the session of {day.date} opens in {wait / 60:.0f} minutes, "
            f"longer than the {longest_wait / 60:.0f} minutes this run may wait"
        )


def require_link(ledger: OrderLedger, account: str, told: Iterable[BrokerEvent]) -> None:
    """Raise GatewayUnreachable when a first contact happens while Interactive Brokers is away.

    The opening balance of an account is recorded once and for ever: not from a gateway that may
    show an empty one.
    """
    codes = [event.code for event in told if isinstance(event, BrokerNotice)]
    link = [code for code in codes if code in CONNECTIVITY_LOST | CONNECTIVITY_RESTORED]
    is_cut = bool(link) and link[-1] in CONNECTIVITY_LOST
    if is_cut and ledger.accounts.opening(account) is None:
        raise GatewayUnreachable(
            f"the gateway has lost Interactive Brokers (code {link[-1]}), and the opening balance "
            "of the account is still to be read"
        )


def open_book(
    ledger: OrderLedger, day: TradingSession, book: AccountBook, evidence: Evidence
) -> None:
    """Set what losses are measured from: worth at the day's first start, and at its highest.

    `evidence` was compared with the ledger before. Both sides are the broker's worth: the book
    counts the broker's cash too.
    """
    label, account = f"{day.date} before", evidence.account
    if not ledger.accounts.snapshots(account, label):
        ledger.accounts.record_snapshot(
            account, evidence.at, evidence.cash, evidence.net_liquidation, label
        )
    worths = comparable_worths(ledger, account)
    book.day_start_equity = next(worth.usd for worth in worths if worth.label == label)
    book.peak_equity = max(worth.usd for worth in worths)
    book.watches_inflow = True


async def stream_prices(
    data: DataConnection,
    worked: Collection[str],
    held: Collection[str],
    limits: RiskLimits,
    alert: Callable[[str, str], None],
) -> None:
    """Stream the quotes of symbols to work, and of what else is held; tell what has no price."""
    await data.subscribe(sorted(worked), with_shortable=limits.allow_short)
    strange = await data.subscribe_known(held)
    if strange:
        alert(
            "positions that cannot be priced",
            f"{', '.join(strange)}: no US stocks to the broker, so the account's worth is not "
            "known and no scheduled order passes its checks; hold them in another account, or "
            "close them by hand",
        )
