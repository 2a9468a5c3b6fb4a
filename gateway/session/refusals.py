"""Requests that this gateway understands and, as the real one does without the service, declines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine.refusal import Refused
from gateway.session.connection import Connection
from gateway.session.contracts import UNKNOWN

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]

CODES = {
    "reqMktDepth": (
        10092,
        "Deep market data is not supported for this combination of security type/exchange",
    ),
    "reqTickByTickData": (10190, "Max number of tick-by-tick requests has been reached."),
    "reqRealTimeBars": (420, "Invalid Real-time Query:No market data permissions"),
    "reqHistogramData": (
        321,
        "Error validating request.-'bQ' : cause - Histogram is not supported",
    ),
    "reqScannerSubscription": (
        162,
        "Historical Market Data Service error message:Scanner is not available",
    ),
    "reqFundamentalData": (
        430,
        "We are sorry, but fundamentals data for the security specified is not available.",
    ),
    "reqNewsArticle": (10276, "News feed is not allowed."),
    "reqHistoricalNews": (10276, "News feed is not allowed."),
    "reqNewsBulletins": (10276, "News feed is not allowed."),
    "reqWshMetaData": (10276, "News feed is not allowed."),
    "reqWshEventData": (10276, "News feed is not allowed."),
    "requestFA": (
        321,
        "Error validating request.-'bT' : cause - FA data operations ignored for non FA customers.",
    ),
    "replaceFA": (
        321,
        "Error validating request.-'bT' : cause - FA data operations ignored for non FA customers.",
    ),
    "exerciseOptions": (200, UNKNOWN),
    "calculateImpliedVolatility": (200, UNKNOWN),
    "calculateOptionPrice": (200, UNKNOWN),
    "verifyRequest": (508, "Verification requires an authorised third-party vendor."),
    "verifyMessage": (508, "Verification requires an authorised third-party vendor."),
    "verifyAndAuthRequest": (508, "Verification requires an authorised third-party vendor."),
    "verifyAndAuthMessage": (508, "Verification requires an authorised third-party vendor."),
}
SILENT = (
    *("setServerLogLevel", "cancelNewsBulletins", "cancelScannerSubscription"),
    *("cancelFundamentalData", "cancelCalculateImpliedVolatility", "cancelCalculateOptionPrice"),
    *("updateDisplayGroup", "unsubscribeFromGroupEvents", "cancelWshMetaData"),
    *("cancelWshEventData", "cancelHeadTimestamp", "cancelHistogramData"),
    *("cancelTickByTickData", "cancelMktDepth", "cancelRealTimeBars"),
)


def _decline(code: int, text: str) -> Any:
    def handler(hub: Hub, connection: Connection, values: Values) -> None:
        raise Refused(code, text)

    return handler


def _accept(hub: Hub, connection: Connection, values: Values) -> None:
    """Take a request that has no answer."""


HANDLERS = {
    **{name: _decline(*answer) for name, answer in CODES.items()},
    **dict.fromkeys(SILENT, _accept),
}
