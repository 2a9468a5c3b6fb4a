"""The openOrder and completedOrder messages: a whole order, as the broker tells it back."""

from __future__ import annotations

from typing import Any

from gateway.codec.fields import UNSET_DOUBLE, F, Item, Many, When, texts, write_fields
from gateway.codec.messages import Out, cents, message
from gateway.codec.place_order import CONDITION_WIDTHS, TAGS
from gateway.engine.checks import TRAILS
from gateway.engine.orders import CANCELLED, FILLED, Order
from gateway.market.universe import INSTRUMENTS, Instrument
from gateway.options import ACCOUNT
from gateway.timeline import new_york

_CONTRACT = texts(
    *("conId", "symbol", "secType", "lastTradeDateOrContractMonth", "strike", "right"),
    *("multiplier", "exchange", "currency", "localSymbol", "tradingClass"),
)
_HEAD = texts(
    *("action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif", "ocaGroup"),
    *("account", "openClose", "origin", "orderRef"),
)
_AFTER_IDS = texts("outsideRth", "hidden", "discretionaryAmt", "goodAfterTime")
_FA = (*texts("faGroup", "faMethod", "faPercentage"), F("faProfile", before=177))
_SETTLE = texts(
    *("modelCode", "goodTillDate", "rule80A", "percentOffset", "settlingFirm", "shortSaleSlot"),
    *("designatedLocation", "exemptCode"),
)
_REFERENCE = texts("startingPrice", "stockRefPrice", "delta", "stockRangeLower", "stockRangeUpper")
_VOLATILITY = texts("volatility", "volatilityType", "deltaNeutralOrderType", "deltaNeutralAuxPrice")
_TRAIL = texts("continuousUpdate", "referencePriceType", "trailStopPrice", "trailingPercent")
_LEGS: tuple[Item, ...] = (
    *texts("comboLegsDescrip"),
    Many(
        "comboLegs",
        texts("conId", "ratio", "action", "exchange", "openClose", "shortSaleSlot")
        + texts("designatedLocation", "exemptCode"),
    ),
    Many("orderComboLegs", texts("price")),
    Many("smartComboRoutingParams", TAGS),
)
_SCALE: tuple[Item, ...] = (
    *texts("scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement"),
    When(
        lambda values: bool(values.get("scalePriceIncrement")),
        texts("scalePriceAdjustValue", "scalePriceAdjustInterval", "scaleProfitOffset")
        + texts("scaleAutoReset", "scaleInitPosition", "scaleInitFillQty", "scaleRandomPercent"),
    ),
    *texts("hedgeType"),
    When(lambda values: bool(values.get("hedgeType")), texts("hedgeParam")),
)
_DNC: tuple[Item, ...] = (
    *texts("clearingAccount", "clearingIntent", "notHeld", "deltaNeutral"),
    When(lambda values: values["deltaNeutral"], texts("dncConId", "dncDelta", "dncPrice")),
    *texts("algoStrategy"),
    When(lambda values: bool(values["algoStrategy"]), (Many("algoParams", TAGS),)),
)
_CONDITION_CASES = tuple(
    (code, tuple(name.capitalize() for name in names)) for code, names in CONDITION_WIDTHS.items()
)
_PEG_BENCH = When(
    lambda values: values["orderType"] in {"PEG BENCH", "PEGBENCH"},
    texts("referenceContractId", "isPeggedChangeAmountDecrease", "peggedChangeAmount")
    + texts("referenceChangeAmount", "referenceExchangeId"),
)
_PEG_TAIL = tuple(
    F(name, since=170)
    for name in (
        "minTradeQty",
        "minCompeteSize",
        "competeAgainstBestOffset",
        "midOffsetAtWhole",
        "midOffsetAtHalf",
    )
)

OPEN_ORDER_HEAD: tuple[Item, ...] = (
    *texts("orderId"),
    *_CONTRACT,
    *_HEAD,
    *texts("clientId", "permId"),
    *_AFTER_IDS,
    *texts("sharesAllocation"),
    *_FA,
    *_SETTLE,
    *texts("auctionStrategy"),
    *_REFERENCE,
    *texts("displaySize", "blockOrder", "sweepToFill", "allOrNone", "minQty", "ocaType"),
    *texts("eTradeOnly", "firmQuoteOnly", "nbboPriceCap", "parentId", "triggerMethod"),
    *_VOLATILITY,
    When(
        lambda values: bool(values["deltaNeutralOrderType"]),
        texts("deltaNeutralConId", "deltaNeutralSettlingFirm", "deltaNeutralClearingAccount")
        + texts("deltaNeutralClearingIntent", "deltaNeutralOpenClose", "deltaNeutralShortSale")
        + texts("deltaNeutralShortSaleSlot", "deltaNeutralDesignatedLocation"),
    ),
    *_TRAIL,
    *texts("basisPoints", "basisPointsType"),
    *_LEGS,
    *_SCALE,
    *texts("optOutSmartRouting"),
    *_DNC,
    *texts("solicited", "whatIf", "status", "initMarginBefore", "maintMarginBefore"),
    *texts("equityWithLoanBefore", "initMarginChange", "maintMarginChange"),
    *texts("equityWithLoanChange", "initMarginAfter", "maintMarginAfter"),
    *texts("equityWithLoanAfter", "commission", "minCommission", "maxCommission"),
    *texts("commissionCurrency", "warningText", "randomizeSize", "randomizePrice"),
    _PEG_BENCH,
)
OPEN_ORDER_TAIL: tuple[Item, ...] = (
    *texts("adjustedOrderType", "triggerPrice", "trailStopPrice", "lmtPriceOffset"),
    *texts("adjustedStopPrice", "adjustedStopLimitPrice", "adjustedTrailingAmount"),
    *texts("adjustableTrailingUnit", "softDollarTierName", "softDollarTierValue"),
    *texts("softDollarTierDisplayName", "cashQty", "dontUseAutoPriceForHedge"),
    *texts("isOmsContainer", "discretionaryUpToLimitPrice", "usePriceMgmtAlgo"),
    F("duration", since=159),
    F("postToAts", since=160),
    F("autoCancelParent", since=162),
    *_PEG_TAIL,
)
COMPLETED_HEAD: tuple[Item, ...] = (
    *_CONTRACT,
    *_HEAD,
    *texts("permId"),
    *_AFTER_IDS,
    *_FA,
    *_SETTLE,
    *_REFERENCE,
    *texts("displaySize", "sweepToFill", "allOrNone", "minQty", "ocaType", "triggerMethod"),
    *_VOLATILITY,
    When(
        lambda values: bool(values["deltaNeutralOrderType"]),
        texts("deltaNeutralConId", "deltaNeutralShortSale", "deltaNeutralShortSaleSlot")
        + texts("deltaNeutralDesignatedLocation"),
    ),
    *_TRAIL,
    *_LEGS,
    *_SCALE,
    *_DNC,
    *texts("solicited", "status", "randomizeSize", "randomizePrice"),
    _PEG_BENCH,
)
COMPLETED_TAIL: tuple[Item, ...] = (
    *texts("trailStopPrice", "lmtPriceOffset", "cashQty", "dontUseAutoPriceForHedge"),
    *texts("isOmsContainer", "autoCancelDate", "filledQuantity", "refFuturesConId"),
    *texts("autoCancelParent", "shareholder", "imbalanceOnly", "routeMarketableToBbo"),
    *texts("parentPermId", "completedTime", "completedStatus"),
    *_PEG_TAIL,
)
_MARGINS = tuple(
    f"{name}{when}"
    for name in ("initMargin", "maintMargin", "equityWithLoan")
    for when in ("Before", "Change", "After")
)


def stock(instrument: Instrument, exchange: str = "SMART") -> dict[str, Any]:
    """Return the contract fields of a stock as the broker writes them."""
    return {
        "conId": instrument.con_id,
        "symbol": instrument.symbol,
        "secType": "STK",
        "lastTradeDateOrContractMonth": "",
        "strike": "0",
        "right": "",
        "multiplier": "",
        "exchange": exchange,
        "currency": "USD",
        "localSymbol": instrument.symbol,
        "tradingClass": instrument.trading_class,
    }


def open_order(order: Order, version: int, margins: dict[str, str] | None = None) -> bytes:
    """Return the openOrder message; `margins` are the order state's figures of a what-if."""
    values = _values(order)
    values.update(dict.fromkeys(_MARGINS, UNSET_DOUBLE))
    values.update(commission=UNSET_DOUBLE, minCommission=UNSET_DOUBLE, maxCommission=UNSET_DOUBLE)
    values.update(margins or {})
    fields = write_fields(OPEN_ORDER_HEAD, values, version)
    fields += _conditions(values)
    fields += write_fields(OPEN_ORDER_TAIL, values, version)
    return message(Out.OPEN_ORDER, *fields)


def completed_order(order: Order, version: int) -> bytes:
    """Return the completedOrder message of an order that is done."""
    values = _values(order)
    values["completedTime"] = f"{new_york(order.done_at):%Y%m%d %H:%M:%S} US/Eastern"
    values["completedStatus"] = _outcome(order)
    values["filledQuantity"] = order.filled
    fields = write_fields(COMPLETED_HEAD, values, version)
    fields += _conditions(values)
    fields += write_fields(COMPLETED_TAIL, values, version)
    return message(Out.COMPLETED_ORDER, *fields)


def _outcome(order: Order) -> str:
    if order.status == FILLED:
        return f"Filled Size: {order.filled}"
    return "Cancelled by Trader" if order.status == CANCELLED else order.reason


def _values(order: Order) -> dict[str, Any]:
    instrument = INSTRUMENTS[order.column]
    values = dict(order.request)
    values.update(stock(instrument, values["exchange"] or "SMART"))
    values["right"] = "?"
    values.update(
        orderId=order.told_id,
        clientId=order.client_id,
        permId=order.perm_id,
        action="BUY" if order.buy else "SELL",
        totalQuantity=order.quantity,
        orderType=values["orderType"].upper() or order.kind,
        lmtPrice=values["lmtPrice"] if values["lmtPrice"] is not None else "0.0",
        auxPrice=values["auxPrice"] if values["auxPrice"] is not None else "0.0",
        tif=order.tif,
        account=ACCOUNT,
        status=order.status,
        deltaNeutralOrderType=values["deltaNeutralOrderType"] or "None",
        adjustedOrderType=values["adjustedOrderType"] or "None",
        discretionaryAmt=values["discretionaryAmt"] or "0",
        commissionCurrency="",
        softDollarTierDisplayName="",
        parentPermId=order.parent,
        refFuturesConId="0",
    )
    if order.oca:
        values.update(ocaGroup=order.oca, ocaType=order.oca_type)
    if order.stop is not None and order.kind in TRAILS:
        values["trailStopPrice"] = cents(order.stop)
    return values


def _conditions(values: dict[str, Any]) -> list[Any]:
    count = values["conditionCount"]
    out: list[Any] = [count]
    for place in range(count):
        code = values[f"condition{place}Type"]
        out.append(code)
        names = dict(_CONDITION_CASES)[code]
        out += [values[f"condition{place}{name}"] for name in names]
    if count:
        out += [values["conditionsIgnoreRth"], values["conditionsCancelOrder"]]
    return out
