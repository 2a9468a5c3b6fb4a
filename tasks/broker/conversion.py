"""From the broker client's objects to domain types, at the one place where the two meet.

The objects are only read by attribute, so nothing here imports ib_async at run time.
"""

from __future__ import annotations

import math
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from models.domain.market_rules import MarketRule, PriceBand
from models.domain.orders import ChildOrder, Fill, OrderKind, Quote, Side
from models.risk.margin import MarginImpact
from tasks.broker.contracts import ContractFacts
from tasks.broker.protocol import Commission, GatewayNotReady, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    import pandas as pd
    from ib_async import (
        AccountValue,
        BarData,
        CommissionReport,
        Contract,
        ContractDetails,
        Execution,
        Order,
        OrderState,
        PriceIncrement,
        Ticker,
    )

SMART = "SMART"
DAY_TRADES = "DayTradesRemaining"
USD = "USD"
SIDES = {"BOT": Side.BUY, "SLD": Side.SELL}
UNSET_DOUBLE = 1.7976931348623157e308
CANCEL_OTHERS = 1  # OCA type: the others end at the first fill, and one at a time is at an exchange


def exact(value: float | Decimal | str) -> Decimal:
    """Return the decimal that the wire carried: a float's shortest text, not its binary tail."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def name_of(contract: Contract) -> str:
    """Return the symbol of a stock; anything else (an option on it, say) keeps a name apart."""
    if contract.secType in ("STK", ""):
        return contract.symbol
    return f"{contract.localSymbol or contract.symbol} {contract.secType}"


def contract_facts(symbol: str, details: Sequence[ContractDetails]) -> ContractFacts | None:
    """Return what a look-up told of a symbol, or None when it told nothing.

    Market rules are listed in the order of the exchanges; SMART's own is the one that counts.
    """
    contract = details[0].contract if details else None
    if contract is None or not contract.conId:
        return None
    exchanges = details[0].validExchanges.split(",")
    rules = dict(zip(exchanges, details[0].marketRuleIds.split(","), strict=False))
    named = rules.get(SMART, "")
    tick = details[0].minTick
    return ContractFacts(
        con_id=contract.conId,
        symbol=symbol,
        exchange=SMART,
        rule_id=int(named) if named.isdigit() else 0,
        min_tick=exact(tick) if _is_told(tick) and tick > 0 else Decimal(0),
    )


def market_rule_of(rule_id: int, bands: Iterable[PriceIncrement]) -> MarketRule:
    """Return a market rule as the broker told it; RetryLater when it cannot be used."""
    told = sorted((exact(band.lowEdge), exact(band.increment)) for band in bands)
    try:
        return MarketRule(tuple(PriceBand(low, increment) for low, increment in told))
    except InvalidInput as error:
        raise RetryLater(
            f"the broker's market rule {rule_id} cannot be used ({error}); nothing is priced by "
            "it: try again"
        ) from error


def fill_of(contract: Contract, execution: Execution) -> Fill:
    """Return the execution as a fill; its commission is a message of its own."""
    return Fill(
        exec_id=execution.execId,
        order_ref=execution.orderRef,
        symbol=name_of(contract),
        side=_side_of(execution),
        quantity=whole_shares(execution.shares),
        price=exact(execution.price),
        at=execution.time.astimezone(UTC),
        perm_id=int(execution.permId),
    )


def _side_of(execution: Execution) -> Side:
    if execution.side not in SIDES:
        raise HaltTrading(
            f"execution {execution.execId} has the unknown side {execution.side!r}; look at the "
            "trade in TWS, and report it: nothing is sent on a guess"
        )
    return SIDES[execution.side]


def commission_of(report: CommissionReport) -> Commission | None:
    """Return the commission report, or None when it tells no amount: that is unknown, not zero.

    A realised profit that was not told is None.
    """
    if not _is_told(report.commission):
        return None
    return Commission(
        exec_id=report.execId,
        amount=exact(report.commission),
        currency=report.currency,
        realized_pnl=exact(report.realizedPNL) if _is_told(report.realizedPNL) else None,
    )


def status_of_open(contract: Contract, order: Order, status: str) -> OrderStatus:
    """Return what an open-order message proves: the order exists; of fills it says nothing."""
    return OrderStatus(
        order_ref=order.orderRef,
        order_id=order.orderId,
        perm_id=int(order.permId),
        client_id=order.clientId,
        symbol=name_of(contract),
        status=status,
        filled=0,
        remaining=whole_shares(order.totalQuantity),
    )


def status_of_completed(contract: Contract, order: Order, status: str) -> OrderStatus:
    """Return the last state of a completed order; the message carries no order id."""
    filled = whole_shares(order.filledQuantity) if _is_told(order.filledQuantity) else 0
    return OrderStatus(
        order_ref=order.orderRef,
        order_id=0,
        perm_id=int(order.permId),
        client_id=order.clientId,
        symbol=name_of(contract),
        status=status,
        filled=filled,
        remaining=0,
    )


def status_of_message(
    order_id: int,
    status: str,
    filled: float,
    remaining: float,
    _average_price: float,
    perm_id: int,
    _parent_id: int,
    _last_price: float,
    client_id: int,
    why_held: str,
    _market_cap_price: float = 0.0,
) -> OrderStatus:
    """Return an orderStatus message; it carries ids only, so the order's name is still empty."""
    return OrderStatus(
        order_ref="",
        order_id=order_id,
        perm_id=int(perm_id),
        client_id=client_id,
        symbol="",
        status=status,
        filled=whole_shares(filled),
        remaining=whole_shares(remaining),
        why_held=why_held or "",
    )


def quote_of(symbol: str, ticker: Ticker, at: datetime) -> Quote | None:
    """Return the top of book, or None while a side is unseen, empty or not real time."""
    prices = (ticker.bid, ticker.ask)
    if ticker.marketDataType != 1 or not all(
        math.isfinite(price) and price > 0 for price in prices
    ):
        return None
    sizes = [int(size) if math.isfinite(size) else 0 for size in (ticker.bidSize, ticker.askSize)]
    return Quote(symbol, exact(ticker.bid), exact(ticker.ask), sizes[0], sizes[1], at)


def order_of(order: Order, child: ChildOrder, account: str) -> Order:
    """Fill in a blank client order from a child: a limit, a market or a stop order.

    Raises InvalidInput for a stop without a stop price.
    """
    order.action, order.totalQuantity = child.side.value, float(child.quantity)
    if child.kind is OrderKind.STOP:
        if child.stop_price is None:
            raise InvalidInput(f"{child.order_ref} is a stop without a price; give its stop_price")
        order.orderType, order.auxPrice = "STP", float(child.stop_price)
    elif child.limit_price is None:
        order.orderType = "MKT"
    else:
        order.orderType, order.lmtPrice = "LMT", float(child.limit_price)
    order.orderId = child.order_id or 0
    order.orderRef = child.order_ref
    order.account = account
    order.tif = child.tif
    if child.oca_group:
        order.ocaGroup, order.ocaType = child.oca_group, CANCEL_OTHERS
    return order


def summary_of(values: Iterable[AccountValue], account: str, wanted: str) -> dict[str, Decimal]:
    """Return the amounts (USD) of an account summary by tag; `wanted` is a comma separated list.

    Raises GatewayNotReady when one of them was not told, HaltTrading when one is in another
    currency: every limit and every price here is in USD.
    """
    tags = wanted.split(",")
    own = [v for v in values if v.account == account and v.tag in tags]
    foreign = sorted({f"{v.tag} in {v.currency}" for v in own if v.currency != USD})
    if foreign:
        raise HaltTrading(
            f"the account is kept in another currency than USD ({', '.join(foreign)}), which this "
            "system does not trade: set the account's base currency to USD, or use another account"
        )
    told = {value.tag: exact(value.value) for value in own}
    missing = [tag for tag in tags if tag not in told]
    if missing:
        raise GatewayNotReady(
            f"the broker's account summary lacks {', '.join(missing)}; try again once the "
            "gateway has logged in completely"
        )
    return told


def day_trades_of(values: Iterable[AccountValue], account: str) -> int | None:
    """Return the day trades that an account summary leaves, or None without a number or limit."""
    told = [value.value for value in values if (value.account, value.tag) == (account, DAY_TRADES)]
    return int(told[0]) if told and told[0].isdigit() else None  # -1 is no limit


def shortable_of(ticker: Ticker) -> int | None:
    """Return the shares that may be borrowed (tick 89), or None when that was not told."""
    shares = ticker.shortableShares
    return int(shares) if math.isfinite(shares) and shares >= 0 else None


def close_of(ticker: Ticker) -> float | None:
    """Return the last close in USD (tick 9, or delayed 75), or None when that was not told."""
    close = float(ticker.close)
    return close if math.isfinite(close) and close > 0 else None


def margin_of(state: OrderState, what: str) -> MarginImpact:
    """Return the answer to a what-if in USD; raise RetryLater when it tells no amounts."""
    told = (state.initMarginBefore, state.initMarginChange, state.equityWithLoanBefore)
    try:
        before, change, equity = (float(value) for value in told)
    except (TypeError, ValueError):
        before = change = equity = UNSET_DOUBLE
    if not all(_is_told(value) for value in (before, change, equity)):
        raise RetryLater(f"the broker answered the request for {what} without amounts; try again")
    return MarginImpact(before, change, equity)


def bars_frame(symbol: str, bars: Iterable[BarData]) -> pd.DataFrame:
    """Return daily bars in the Bars frame: symbol, session, open … close (USD), volume (shares)."""
    import pandas as pd

    rows = [
        (symbol, session_of(bar.date), bar.open, bar.high, bar.low, bar.close, int(bar.volume))
        for bar in bars
    ]
    columns = ["symbol", "session", "open", "high", "low", "close", "volume"]
    frame = pd.DataFrame(rows, columns=columns)
    floats = dict.fromkeys(("open", "high", "low", "close"), "float64")
    return frame.astype(floats | {"volume": "int64"})


def intraday_frame(symbol: str, bars: Iterable[Any]) -> pd.DataFrame:
    """Return bars as symbol, ts (start, UTC), open … close (USD) and volume (shares, whole).

    Takes historical bars (`date`, `open`) and the live ones of five seconds (`time`, `open_`).
    """
    import pandas as pd

    rows = [
        (
            symbol,
            bar.time if hasattr(bar, "time") else bar.date,
            bar.open_ if hasattr(bar, "open_") else bar.open,
            *(bar.high, bar.low, bar.close, int(bar.volume)),
        )
        for bar in bars
    ]
    columns = ["symbol", "ts", "open", "high", "low", "close", "volume"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True)
    floats = dict.fromkeys(("open", "high", "low", "close"), "float64")
    return frame.astype(floats | {"volume": "int64"})


def session_of(moment: date | datetime) -> date:
    """Return the date of a daily bar, whichever of the two forms the broker gave."""
    return moment.date() if hasattr(moment, "date") else moment  # type: ignore[union-attr]


def duration(first: date | None, end: date) -> str:
    """Return the broker's text for the days from `first` to `end`; None asks for 33 years."""
    if first is None:
        return "33 Y"
    days = (end - first).days + 1
    return f"{days} D" if days <= 365 else f"{days // 365 + 1} Y"


def whole_shares(quantity: float | Decimal) -> int:
    """Return a share count; a fraction is refused, since this system trades whole shares."""
    shares = int(quantity) if math.isfinite(quantity) else 0
    if shares != quantity:
        raise HaltTrading(
            f"the broker reports {quantity} shares, no whole number; this system trades whole "
            "shares: sell the fraction in TWS, then run robo reconcile"
        )
    return shares


def _is_told(value: float | Decimal) -> bool:
    return math.isfinite(value) and value < UNSET_DOUBLE
