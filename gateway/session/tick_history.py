"""Historical ticks and price histograms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.codec.messages import Out, message
from gateway.engine.refusal import Refused
from gateway.market.bars import intraday_bars, outside_bars
from gateway.market.market import Market
from gateway.market.ticks import BidAsk, Tape, TradeTick
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import price_text
from gateway.session.connection import Connection
from gateway.session.contracts import one_column
from gateway.session.moments import parse_moment
from gateway.session.subscriptions import TickStream
from gateway.session.venues import TAPE
from gateway.timeline import SECOND, Span, new_york, stretches

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]
MOST = 1000
SHOWS = {
    "TRADES": Out.HISTORICAL_TICKS_LAST,
    "BID_ASK": Out.HISTORICAL_TICKS_BID_ASK,
    "MIDPOINT": Out.HISTORICAL_TICKS,
}
STREAMS = {"Last": "TRADES", "AllLast": "TRADES", "BidAsk": "BID_ASK", "MidPoint": "MIDPOINT"}
VALIDATING = "Error validating request.-'cA' : cause - "
PERIODS = {"day": 1, "week": 5, "month": 21, "year": 252}
MOST_SESSIONS = 260
SEARCHED = 10  # sessions that are looked through for ticks


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ticks of which instrument, and how many at most; `outside` of the session too."""

    market: Market
    column: int
    show: str
    count: int
    ignore_size: bool
    outside: bool = True

    def spans(self, ordinal: int) -> tuple[Span, ...]:
        """Return the stretches of a session that have such ticks, in order."""
        if self.outside and INSTRUMENTS[self.column].sec_type == "STK":
            return stretches(self.market.closes.dates[ordinal])
        return (self.market.hours(self.column, ordinal),)


async def historical_ticks(hub: Hub, connection: Connection, values: Values) -> None:
    """Send up to a thousand ticks from a moment on, or up to one."""
    request_id, count, show = values["reqId"], values["count"], values["whatToShow"].upper()
    start, end = values["start"].strip(), values["end"].strip()
    column = one_column(values)
    if show not in SHOWS:
        raise Refused(321, f"{VALIDATING}Invalid whatToShow: {show or '(none)'}")
    if bool(start) == bool(end):
        raise Refused(321, f"{VALIDATING}Please specify either the start or the end time")
    if not 1 <= count <= MOST:
        raise Refused(321, f"{VALIDATING}Number of ticks must be from 1 to {MOST}")
    kind = INSTRUMENTS[column].sec_type
    if kind == "IND" or (kind == "CASH" and show == "TRADES"):
        raise Refused(
            162, f"Historical Market Data Service error message:No {show} data for {kind}"
        )
    moment, now = parse_moment(start or end), hub.now
    outside = not values["useRTH"]
    wanted = Wanted(hub.exchange.market, column, show, count, values["ignoreSize"], outside)

    def work() -> bytes:
        ticks = _after(wanted, moment, now) if start else _before(wanted, min(moment, now))
        return _message(request_id, show, ticks, INSTRUMENTS[column].digits)

    connection.send(await hub.aside(work))


def latest_ticks(hub: Hub, stream: TickStream, count: int) -> bytes:
    """Return the last ticks before now, as they go before a tick-by-tick stream."""
    show = STREAMS[stream.kind]
    wanted = Wanted(hub.exchange.market, stream.column, show, count, stream.ignore_size)
    digits = INSTRUMENTS[stream.column].digits
    return _message(stream.request_id, show, _before(wanted, hub.now), digits)


def fields_of(quote: BidAsk, digits: int, mid: bool) -> tuple[Any, ...]:
    """Return a live quote tick's prices, sizes and attributes, or its midpoint."""
    if mid:
        return (price_text((quote.bid + quote.ask) * 5, digits + 1),)
    prices = price_text(quote.bid, digits), price_text(quote.ask, digits)
    return (*prices, quote.bid_size, quote.ask_size, 0)


def _message(request_id: int, show: str, ticks: list[TradeTick | BidAsk], digits: int) -> bytes:
    fields: list[Any] = [request_id, len(ticks)]
    for tick in ticks:
        if isinstance(tick, TradeTick):
            fields += [tick.at, 0, price_text(tick.price, digits), tick.size, TAPE, ""]
        elif show == "MIDPOINT":
            fields += [tick.at, 0, *fields_of(tick, digits, mid=True), 0]
        else:
            *cells, mask = fields_of(tick, digits, mid=False)
            fields += [tick.at, mask, *cells]
    return message(SHOWS[show], *fields, 1)


def _ticks(
    tape: Tape, show: str, seconds: range, ignore_size: bool
) -> Iterator[list[TradeTick | BidAsk]]:
    """Return the ticks of each second, in the order of `seconds`."""
    for second in seconds:
        at = tape.span.open + second * SECOND
        if show == "TRADES":
            yield list(tape.trades(at - SECOND, at))
            continue
        quote, before = tape.quote(at), tape.quote(at - SECOND)
        same = (quote.bid, quote.ask) == (before.bid, before.ask)
        if same and show == "BID_ASK" and not ignore_size:
            sizes = (quote.bid_size, quote.ask_size)
            same = sizes == (before.bid_size, before.ask_size)
        yield [] if same else [quote]


def _after(wanted: Wanted, moment: int, now: int) -> list[TradeTick | BidAsk]:
    market, count = wanted.market, wanted.count
    found: list[TradeTick | BidAsk] = []
    first = max(market.ordinals_before(new_york(min(moment, now)).date()) - 1, 0)
    ordinals = range(first, min(first + SEARCHED, len(market.closes.dates)))
    for span in (span for ordinal in ordinals for span in wanted.spans(ordinal)):
        if span.open >= now:
            break
        tape = Tape(market, wanted.column, span)
        seconds = range(max(-((span.open - moment) // SECOND), 1), span.second(now) + 1)
        for ticks in _ticks(tape, wanted.show, seconds, wanted.ignore_size):
            found += [tick for tick in ticks if tick.at * SECOND >= moment]
            if len(found) >= count:
                return found[:count]
    return found


def _before(wanted: Wanted, moment: int) -> list[TradeTick | BidAsk]:
    market, count = wanted.market, wanted.count
    parts: list[list[TradeTick | BidAsk]] = []
    total, last = 0, market.ordinals_before(new_york(moment).date())
    last = min(last, len(market.closes.dates) - 1)
    ordinals = range(last, max(last - SEARCHED, -1), -1)
    for span in (span for ordinal in ordinals for span in reversed(wanted.spans(ordinal))):
        if span.open >= moment:
            continue
        tape = Tape(market, wanted.column, span)
        seconds = range(span.second(moment), 0, -1)
        for ticks in _ticks(tape, wanted.show, seconds, wanted.ignore_size):
            parts.append(ticks)
            total += len(ticks)
            if total >= count:
                return [tick for part in reversed(parts) for tick in part][-count:]
    return [tick for part in reversed(parts) for tick in part][-count:]


async def histogram(hub: Hub, connection: Connection, values: Values) -> None:
    """Send the shares traded at each price over a period such as `3 days`."""
    column = one_column(values)
    count, _, unit = values["period"].strip().partition(" ")
    length = PERIODS.get(unit.strip().lower().removesuffix("s"))
    if not count.isdigit() or not int(count) or length is None:
        raise Refused(
            321, "Error validating request.-'bX' : cause - Invalid time period; such as 3 days"
        )
    sessions, now, market = min(int(count) * length, MOST_SESSIONS), hub.now, hub.exchange.market

    def work() -> bytes:
        shares = _histogram(market, column, sessions, now, not values["useRTH"])
        digits = INSTRUMENTS[column].digits
        fields: list[Any] = [values["reqId"], len(shares)]
        for price in sorted(shares):
            fields += [f"{price:.{digits}f}", shares[price]]
        return message(Out.HISTOGRAM, *fields)

    connection.send(await hub.aside(work))


def _histogram(
    market: Market, column: int, sessions: int, now: int, outside: bool
) -> dict[float, int]:
    bars_of = outside_bars if outside and INSTRUMENTS[column].sec_type == "STK" else intraday_bars
    end = market.ordinals_before(new_york(now).date())
    shares: dict[float, int] = {}
    for ordinal in range(max(end - sessions, 0), end):
        for bar in bars_of(market, column, ordinal, now, 60):
            price = round(bar.close, INSTRUMENTS[column].digits)
            shares[price] = shares.get(price, 0) + bar.volume
    return shares


HANDLERS = {"reqHistoricalTicks": historical_ticks, "reqHistogramData": histogram}
