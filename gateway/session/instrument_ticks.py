"""Generic ticks that hang on what an instrument is: options, auctions, funds, fundamentals.

No options, futures or bonds are listed here, so that their volumes and interest are truly none. An
auction's figures are of the clients' orders, for the background's part in it is not published. A
fund's net asset value is its price before clients move it. Of the fundamentals only what the price
history tells is known; the rest is -99999.99, which means unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.codec.messages import Out
from gateway.engine.orders import AUCTION
from gateway.market.universe import INSTRUMENTS
from gateway.market.view import Quote, price_text

if TYPE_CHECKING:
    from gateway.session.hub import Hub
    from gateway.timeline import Span

OPTION_VOLUME, OPTION_INTEREST, OPTION_AVERAGE = 100, 101, 105
PREMIUM, AUCTION_TICKS, FUNDAMENTALS = 162, 225, 258
NAV_QUOTE, NAV_LAST, NAV_CLOSE, NAV_RANGE, NAV_FROZEN = 576, 577, 578, 614, 623
NAV = frozenset({NAV_QUOTE, NAV_LAST, NAV_CLOSE, NAV_RANGE, NAV_FROZEN})
HALF_SPREAD = 0.00007  # of the net asset value, between its bid and offer
NONE_LISTED = {OPTION_VOLUME: (29, 30), OPTION_INTEREST: (27, 28), OPTION_AVERAGE: (87,)}
RATIOS = ("TTMEPSXCLX", "APENORM", "QTOTD2EQ", "TTMNPMGN", "BETA", "YIELD", "MKTCAP")
Tick = tuple[Out, int, float | str]


def ticks_of(hub: Hub, column: int, wanted: frozenset[int], quote: Quote, span: Span) -> list[Tick]:
    """Return (message, tick type, value) of the wanted ticks at this moment."""
    ticks: list[Tick] = []
    for number, kinds in NONE_LISTED.items():
        if number in wanted:
            ticks += [(Out.TICK_SIZE, kind, 0) for kind in kinds]
    if PREMIUM in wanted and INSTRUMENTS[column].sec_type == "IND":
        ticks.append((Out.TICK_GENERIC, 31, 0.0))
    if AUCTION_TICKS in wanted:
        ticks += _auction(hub, column)
    if wanted & NAV and INSTRUMENTS[column].stock_type == "ETF":
        ticks += _net_asset_value(hub, column, wanted, span)
    if FUNDAMENTALS in wanted:
        ticks.append((Out.TICK_STRING, 47, _fundamentals(hub, column, quote)))
    return ticks


def _auction(hub: Hub, column: int) -> list[Tick]:
    """Return paired shares, price and imbalance of the clients' orders for the next auction."""
    waiting = [o for o in hub.exchange.open_orders() if o.column == column and o.waits == AUCTION]
    bought = sum(order.remaining for order in waiting if order.buy)
    sold = sum(order.remaining for order in waiting if not order.buy)
    imbalance = abs(bought - sold)
    ticks: list[Tick] = [(Out.TICK_SIZE, 34, min(bought, sold)), (Out.TICK_SIZE, 36, imbalance)]
    if waiting:
        ticks.append((Out.TICK_PRICE, 35, price_text(hub.exchange.mark(column), 2)))
    return [*ticks, (Out.TICK_SIZE, 61, imbalance)]


def _net_asset_value(hub: Hub, column: int, wanted: frozenset[int], span: Span) -> list[Tick]:
    market = hub.exchange.market
    path, second = market.path_in(column, span), span.second(hub.now)
    value = float(path.mid[second])
    ordinal = market.closes.ordinal(span.date)
    closes = [market.closes.close(max(ordinal - back, 0), column) for back in (1, 2)]
    prices = {
        NAV_QUOTE: ((94, value * (1.0 - HALF_SPREAD)), (95, value * (1.0 + HALF_SPREAD))),
        NAV_LAST: ((96, value),),
        NAV_CLOSE: ((92, closes[0]), (93, closes[1])),
        NAV_RANGE: ((98, float(path.high[second])), (99, float(path.low[second]))),
        NAV_FROZEN: ((97, closes[0]),),
    }
    return [
        (Out.TICK_PRICE, kind, f"{price:.4f}")
        for number in sorted(wanted & NAV)
        for kind, price in prices[number]
    ]


def _fundamentals(hub: Hub, column: int, quote: Quote) -> str:
    market, day = hub.exchange.market, hub.exchange.span.date
    end = market.closes.ordinal(day)
    rows = market.days(column, max(end - 252, 0), max(end, 1))
    last = quote.mid if quote.last is None else quote.last
    known = {
        "CURRENCY": INSTRUMENTS[column].currency,
        "NPRICE": price_text(last, quote.digits),
        "NHIG": f"{float(rows.high.max()):.4f}",
        "NLOW": f"{float(rows.low.min()):.4f}",
    }
    known |= dict.fromkeys(RATIOS, "-99999.99")
    return ";".join(f"{name}={value}" for name, value in known.items())
