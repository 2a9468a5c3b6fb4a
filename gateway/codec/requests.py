"""Every request of the protocol: its id, its name and its fields by server version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.codec.fields import (
    CodecError,
    F,
    Item,
    Many,
    When,
    decimals,
    flags,
    ints,
    optional_ints,
    read_bool,
    read_fields,
    read_int,
    texts,
)
from gateway.codec.place_order import PLACE_ORDER

VERSION = ints("version")
REQ = ints("reqId")
C12: tuple[Item, ...] = (
    *ints("conId"),
    *texts("symbol", "secType", "lastTradeDateOrContractMonth"),
    *decimals("strike"),
    *texts("right", "multiplier", "exchange", "primaryExchange", "currency"),
    *texts("localSymbol", "tradingClass"),
)
C11: tuple[Item, ...] = tuple(
    f for f in C12 if not (isinstance(f, F) and f.name == "primaryExchange")
)
LEGS = Many("comboLegs", (*ints("conId", "ratio"), *texts("action", "exchange")))
BAG_LEGS = When(lambda values: values["secType"] == "BAG", (LEGS,))
EXPIRED = flags("includeExpired")
DELTA_NEUTRAL = (
    *flags("deltaNeutral"),
    When(
        lambda values: values["deltaNeutral"],
        (*ints("deltaNeutralConId"), *decimals("deltaNeutralDelta", "deltaNeutralPrice")),
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of request."""

    id: int
    name: str
    fields: tuple[Item, ...]


def _table(*rows: tuple[int, str, tuple[Item, ...]]) -> dict[int, Request]:
    return {row[0]: Request(*row) for row in rows}


REQUESTS = _table(
    (
        1,
        "reqMktData",
        (
            *VERSION,
            *REQ,
            *C12,
            BAG_LEGS,
            *DELTA_NEUTRAL,
            *texts("genericTickList"),
            *flags("snapshot", "regulatorySnapshot"),
            *texts("options"),
        ),
    ),
    (2, "cancelMktData", (*VERSION, *REQ)),
    (3, "placeOrder", PLACE_ORDER),
    (4, "cancelOrder", (*VERSION, *ints("orderId"), F("manualCancelOrderTime", since=169))),
    (5, "reqOpenOrders", VERSION),
    (6, "reqAccountUpdates", (*VERSION, *flags("subscribe"), *texts("account"))),
    (
        7,
        "reqExecutions",
        (
            *VERSION,
            *REQ,
            *ints("clientId"),
            *texts("account", "time", "symbol", "secType", "exchange", "side"),
        ),
    ),
    (8, "reqIds", (*VERSION, *ints("count"))),
    (
        9,
        "reqContractDetails",
        (*VERSION, *REQ, *C12, *EXPIRED, *texts("secIdType", "secId"), F("issuerId", since=176)),
    ),
    (
        10,
        "reqMktDepth",
        (*VERSION, *REQ, *C12, *ints("numRows"), *flags("smart"), *texts("options")),
    ),
    (11, "cancelMktDepth", (*VERSION, *REQ, *flags("smart"))),
    (12, "reqNewsBulletins", (*VERSION, *flags("allMessages"))),
    (13, "cancelNewsBulletins", VERSION),
    (14, "setServerLogLevel", (*VERSION, *ints("level"))),
    (15, "reqAutoOpenOrders", (*VERSION, *flags("autoBind"))),
    (16, "reqAllOpenOrders", VERSION),
    (17, "reqManagedAccts", VERSION),
    (18, "requestFA", (*VERSION, *ints("faDataType"))),
    (19, "replaceFA", (*VERSION, *ints("faDataType"), *texts("xml"), F("reqId", read_int, 157))),
    (
        20,
        "reqHistoricalData",
        (
            *REQ,
            *C12,
            *EXPIRED,
            *texts("endDateTime", "barSize", "duration"),
            *flags("useRTH"),
            *texts("whatToShow"),
            *ints("formatDate"),
            BAG_LEGS,
            *flags("keepUpToDate"),
            *texts("options"),
        ),
    ),
    (
        21,
        "exerciseOptions",
        (*VERSION, *REQ, *C11, *ints("action", "quantity"), *texts("account"), *ints("override")),
    ),
    (
        22,
        "reqScannerSubscription",
        (
            *REQ,
            *optional_ints("numberOfRows"),
            *texts("instrument", "locationCode", "scanCode"),
            *decimals("abovePrice", "belowPrice"),
            *optional_ints("aboveVolume"),
            *decimals("marketCapAbove", "marketCapBelow"),
            *texts("moodyAbove", "moodyBelow"),
            *texts("spAbove", "spBelow", "maturityAbove", "maturityBelow"),
            *decimals("couponAbove", "couponBelow"),
            *flags("excludeConvertible"),
            *optional_ints("optionVolumeAbove"),
            *texts("settingPairs", "stockType"),
            *texts("filterOptions", "options"),
        ),
    ),
    (23, "cancelScannerSubscription", (*VERSION, *REQ)),
    (24, "reqScannerParameters", VERSION),
    (25, "cancelHistoricalData", (*VERSION, *REQ)),
    (49, "reqCurrentTime", VERSION),
    (
        50,
        "reqRealTimeBars",
        (
            *VERSION,
            *REQ,
            *C12,
            *ints("barSize"),
            *texts("whatToShow"),
            *flags("useRTH"),
            *texts("options"),
        ),
    ),
    (51, "cancelRealTimeBars", (*VERSION, *REQ)),
    (
        52,
        "reqFundamentalData",
        (
            *VERSION,
            *REQ,
            *ints("conId"),
            *texts("symbol", "secType", "exchange"),
            *texts("primaryExchange", "currency", "localSymbol", "reportType", "count", "options"),
        ),
    ),
    (53, "cancelFundamentalData", (*VERSION, *REQ)),
    (
        54,
        "calculateImpliedVolatility",
        (*VERSION, *REQ, *C12, *decimals("optionPrice", "underPrice"), *texts("count", "options")),
    ),
    (
        55,
        "calculateOptionPrice",
        (*VERSION, *REQ, *C12, *decimals("volatility", "underPrice"), *texts("count", "options")),
    ),
    (56, "cancelCalculateImpliedVolatility", (*VERSION, *REQ)),
    (57, "cancelCalculateOptionPrice", (*VERSION, *REQ)),
    (58, "reqGlobalCancel", VERSION),
    (59, "reqMarketDataType", (*VERSION, *ints("marketDataType"))),
    (61, "reqPositions", VERSION),
    (62, "reqAccountSummary", (*VERSION, *REQ, *texts("group", "tags"))),
    (63, "cancelAccountSummary", (*VERSION, *REQ)),
    (64, "cancelPositions", VERSION),
    (65, "verifyRequest", (*VERSION, *texts("apiName", "apiVersion"))),
    (66, "verifyMessage", (*VERSION, *texts("apiData"))),
    (67, "queryDisplayGroups", (*VERSION, *REQ)),
    (68, "subscribeToGroupEvents", (*VERSION, *REQ, *ints("groupId"))),
    (69, "updateDisplayGroup", (*VERSION, *REQ, *texts("contractInfo"))),
    (70, "unsubscribeFromGroupEvents", (*VERSION, *REQ)),
    (71, "startApi", (*VERSION, *ints("clientId"), *texts("optionalCapabilities"))),
    (72, "verifyAndAuthRequest", (*VERSION, *texts("apiName", "apiVersion", "opaqueIsvKey"))),
    (73, "verifyAndAuthMessage", (*VERSION, *texts("apiData", "xyzResponse"))),
    (74, "reqPositionsMulti", (*VERSION, *REQ, *texts("account", "modelCode"))),
    (75, "cancelPositionsMulti", (*VERSION, *REQ)),
    (
        76,
        "reqAccountUpdatesMulti",
        (*VERSION, *REQ, *texts("account", "modelCode"), *flags("ledgerAndNLV")),
    ),
    (77, "cancelAccountUpdatesMulti", (*VERSION, *REQ)),
    (
        78,
        "reqSecDefOptParams",
        (*REQ, *texts("symbol", "exchange", "secType"), *ints("conId")),
    ),
    (79, "reqSoftDollarTiers", REQ),
    (80, "reqFamilyCodes", ()),
    (81, "reqMatchingSymbols", (*REQ, *texts("pattern"))),
    (82, "reqMktDepthExchanges", ()),
    (83, "reqSmartComponents", (*REQ, *texts("bboExchange"))),
    (84, "reqNewsArticle", (*REQ, *texts("providerCode", "articleId", "options"))),
    (85, "reqNewsProviders", ()),
    (
        86,
        "reqHistoricalNews",
        (
            *REQ,
            *ints("conId"),
            *texts("providerCodes", "start", "end"),
            *ints("total"),
            *texts("options"),
        ),
    ),
    (
        87,
        "reqHeadTimestamp",
        (*REQ, *C12, *EXPIRED, *flags("useRTH"), *texts("whatToShow"), *ints("formatDate")),
    ),
    (88, "reqHistogramData", (*REQ, *C12, *EXPIRED, *flags("useRTH"), *texts("period"))),
    (89, "cancelHistogramData", REQ),
    (90, "cancelHeadTimestamp", REQ),
    (91, "reqMarketRule", ints("marketRuleId")),
    (92, "reqPnL", (*REQ, *texts("account", "modelCode"))),
    (93, "cancelPnL", REQ),
    (94, "reqPnLSingle", (*REQ, *texts("account", "modelCode"), *ints("conId"))),
    (95, "cancelPnLSingle", REQ),
    (
        96,
        "reqHistoricalTicks",
        (
            *REQ,
            *C12,
            *EXPIRED,
            *texts("start", "end"),
            *ints("count"),
            *texts("whatToShow"),
            *flags("useRTH", "ignoreSize"),
            *texts("options"),
        ),
    ),
    (
        97,
        "reqTickByTickData",
        (*REQ, *C12, *texts("tickType"), *ints("count"), *flags("ignoreSize")),
    ),
    (98, "cancelTickByTickData", REQ),
    (99, "reqCompletedOrders", flags("apiOnly")),
    (100, "reqWshMetaData", REQ),
    (101, "cancelWshMetaData", REQ),
    (
        102,
        "reqWshEventData",
        (
            *REQ,
            *ints("conId"),
            F("filter", since=171),
            F("fillWatchlist", read_bool, 171),
            F("fillPortfolio", read_bool, 171),
            F("fillCompetitors", read_bool, 171),
            F("start", since=173),
            F("end", since=173),
            F("total", read_int, 173),
        ),
    ),
    (103, "cancelWshEventData", REQ),
    (104, "reqUserInfo", REQ),
)


def read_request(tokens: list[str], version: int) -> tuple[Request, dict[str, Any]]:
    """Return a message's request and its values; raise CodecError when it does not fit."""
    try:
        message_id = int(tokens[0])
    except ValueError:
        raise CodecError("message id", f"cannot be read from {tokens[0][:40]!r}", {}) from None
    request = REQUESTS.get(message_id)
    if request is None:
        raise CodecError("message id", f"{message_id} is unknown", {})
    return request, read_fields(request.fields, tokens[1:], version)
