"""Requests that are understood and declined, as the real gateway does without the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine.refusal import Refused
from gateway.session.connection import Connection
from gateway.session.contracts import UNKNOWN

if TYPE_CHECKING:
    from gateway.session.hub import Hub

Values = dict[str, Any]

VALIDATING = "Error validating request.-'bT' : cause - "
NO_FA = (321, f"{VALIDATING}FA data operations ignored for non FA customers.")
NO_NEWS = (10276, "News feed is not allowed.")
NO_VENDOR = (508, "Verification requires an authorised third-party vendor.")
NO_FUNDAMENTALS = (
    430,
    "We are sorry, but fundamentals data for the security specified is not available.",
)
NO_DEPTH = (
    10092,
    "Deep market data is not supported for this combination of security type/exchange",
)
CODES = {
    "reqScannerSubscription": (
        162,
        "Historical Market Data Service error message:Scanner is not available",
    ),
    "reqFundamentalData": NO_FUNDAMENTALS,
    "reqNewsArticle": NO_NEWS,
    "reqHistoricalNews": NO_NEWS,
    "reqNewsBulletins": NO_NEWS,
    "reqWshMetaData": NO_NEWS,
    "reqWshEventData": NO_NEWS,
    "requestFA": NO_FA,
    "replaceFA": NO_FA,
    "exerciseOptions": (200, UNKNOWN),
    "calculateImpliedVolatility": (200, UNKNOWN),
    "calculateOptionPrice": (200, UNKNOWN),
    "verifyRequest": NO_VENDOR,
    "verifyMessage": NO_VENDOR,
    "verifyAndAuthRequest": NO_VENDOR,
    "verifyAndAuthMessage": NO_VENDOR,
}
SILENT = (
    *("setServerLogLevel", "cancelNewsBulletins", "cancelScannerSubscription"),
    *("cancelFundamentalData", "cancelCalculateImpliedVolatility", "cancelCalculateOptionPrice"),
    *("updateDisplayGroup", "unsubscribeFromGroupEvents", "cancelWshMetaData"),
    *("cancelWshEventData", "cancelHeadTimestamp", "cancelHistogramData"),
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
