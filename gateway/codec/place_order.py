"""The placeOrder message: the longest table, with blocks that appear only with their flags."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.codec.fields import (
    F,
    Item,
    Many,
    When,
    decimals,
    flags,
    ints,
    optional_ints,
    read_bool,
    read_decimal,
    read_optional_int,
    texts,
)

Values = dict[str, Any]

CONDITION_WIDTHS = {
    1: ("conjunction", "isMore", "price", "conId", "exchange", "triggerMethod"),
    3: ("conjunction", "isMore", "time"),
    4: ("conjunction", "isMore", "percent"),
    5: ("conjunction", "secType", "exchange", "symbol"),
    6: ("conjunction", "isMore", "volume", "conId", "exchange"),
    7: ("conjunction", "isMore", "changePercent", "conId", "exchange"),
}
MOST_CONDITIONS = 20


def _is_bag(values: Values) -> bool:
    return values["secType"] == "BAG"


def _is_scale(values: Values) -> bool:
    increment = values["scalePriceIncrement"]
    return increment is not None and increment > 0


def _kind_in(*kinds: str) -> Any:
    return lambda values: values["orderType"] in kinds


def _conditions(place: int) -> tuple[Item, ...]:
    """Nest the conditions: the type of each says how many fields follow it."""
    if place >= MOST_CONDITIONS:
        return ()
    kind = f"condition{place}Type"
    cases = tuple(
        When(
            lambda values, code=code: values[kind] == code,
            texts(*(f"condition{place}{name.capitalize()}" for name in names)),
        )
        for code, names in CONDITION_WIDTHS.items()
    )
    return (
        When(
            lambda values: values["conditionCount"] > place,
            (F(kind, _condition_type), *cases, *_conditions(place + 1)),
        ),
    )


def _condition_type(text: str) -> int:
    code = int(text)
    if code not in CONDITION_WIDTHS:
        raise ValueError("no such condition type")
    return code


def _condition_count(text: str) -> int:
    count = int(text or 0)
    if not 0 <= count <= MOST_CONDITIONS:
        raise ValueError("too many conditions")
    return count


TAGS = (F("tag"), F("value"))

_CONTRACT: tuple[Item, ...] = (
    *ints("orderId", "conId"),
    *texts("symbol", "secType", "lastTradeDateOrContractMonth"),
    *decimals("strike"),
    *texts("right", "multiplier", "exchange", "primaryExchange", "currency"),
    *texts("localSymbol", "tradingClass", "secIdType", "secId"),
)
_MAIN: tuple[Item, ...] = (
    *texts("action"),
    *decimals("totalQuantity"),
    *texts("orderType"),
    *decimals("lmtPrice", "auxPrice"),
    *texts("tif", "ocaGroup", "account", "openClose"),
    *ints("origin"),
    *texts("orderRef"),
    *flags("transmit"),
    *ints("parentId"),
    *flags("blockOrder", "sweepToFill"),
    *ints("displaySize", "triggerMethod"),
    *flags("outsideRth", "hidden"),
    When(
        _is_bag,
        (
            Many(
                "comboLegs",
                (
                    *ints("conId", "ratio"),
                    *texts("action", "exchange"),
                    *ints("openClose", "shortSaleSlot"),
                    *texts("designatedLocation"),
                    *ints("exemptCode"),
                ),
            ),
            Many("orderComboLegs", decimals("price")),
            Many("smartComboRoutingParams", TAGS),
        ),
    ),
    *texts("sharesAllocation"),
    *decimals("discretionaryAmt"),
    *texts("goodAfterTime", "goodTillDate", "faGroup", "faMethod", "faPercentage"),
    F("faProfile", before=177),
    *texts("modelCode"),
    *ints("shortSaleSlot"),
    *texts("designatedLocation"),
    *ints("exemptCode", "ocaType"),
    *texts("rule80A", "settlingFirm"),
    *flags("allOrNone"),
    *optional_ints("minQty"),
    *decimals("percentOffset"),
    *flags("eTradeOnly", "firmQuoteOnly"),
    *decimals("nbboPriceCap"),
    *optional_ints("auctionStrategy"),
    *decimals("startingPrice", "stockRefPrice", "delta", "stockRangeLower", "stockRangeUpper"),
    *flags("overridePercentageConstraints"),
)
_VOLATILITY: tuple[Item, ...] = (
    *decimals("volatility"),
    *optional_ints("volatilityType"),
    *texts("deltaNeutralOrderType"),
    *decimals("deltaNeutralAuxPrice"),
    When(
        lambda values: bool(values["deltaNeutralOrderType"]),
        (
            *ints("deltaNeutralConId"),
            *texts("deltaNeutralSettlingFirm"),
            *texts("deltaNeutralClearingAccount", "deltaNeutralClearingIntent"),
            *texts("deltaNeutralOpenClose"),
            *flags("deltaNeutralShortSale"),
            *ints("deltaNeutralShortSaleSlot"),
            *texts("deltaNeutralDesignatedLocation"),
        ),
    ),
    *flags("continuousUpdate"),
    *optional_ints("referencePriceType"),
    *decimals("trailStopPrice", "trailingPercent"),
    *optional_ints("scaleInitLevelSize", "scaleSubsLevelSize"),
    *decimals("scalePriceIncrement"),
    When(
        _is_scale,
        (
            *decimals("scalePriceAdjustValue"),
            *optional_ints("scalePriceAdjustInterval"),
            *decimals("scaleProfitOffset"),
            *flags("scaleAutoReset"),
            *optional_ints("scaleInitPosition", "scaleInitFillQty"),
            *flags("scaleRandomPercent"),
        ),
    ),
    *texts("scaleTable", "activeStartTime", "activeStopTime", "hedgeType"),
    When(lambda values: bool(values["hedgeType"]), texts("hedgeParam")),
    *flags("optOutSmartRouting"),
    *texts("clearingAccount", "clearingIntent"),
    *flags("notHeld", "deltaNeutral"),
    When(
        lambda values: values["deltaNeutral"],
        (*ints("dncConId"), *decimals("dncDelta", "dncPrice")),
    ),
)
_ALGO: tuple[Item, ...] = (
    *texts("algoStrategy"),
    When(lambda values: bool(values["algoStrategy"]), (Many("algoParams", TAGS),)),
    *texts("algoId"),
    *flags("whatIf"),
    *texts("orderMiscOptions"),
    *flags("solicited", "randomizeSize", "randomizePrice"),
    When(
        _kind_in("PEG BENCH", "PEGBENCH"),
        (
            *ints("referenceContractId"),
            *flags("isPeggedChangeAmountDecrease"),
            *decimals("peggedChangeAmount", "referenceChangeAmount"),
            *texts("referenceExchangeId"),
        ),
    ),
    F("conditionCount", _condition_count),
    *_conditions(0),
    When(
        lambda values: values["conditionCount"] > 0,
        flags("conditionsIgnoreRth", "conditionsCancelOrder"),
    ),
)
_TAIL: tuple[Item, ...] = (
    *texts("adjustedOrderType"),
    *decimals("triggerPrice", "lmtPriceOffset", "adjustedStopPrice", "adjustedStopLimitPrice"),
    *decimals("adjustedTrailingAmount"),
    *ints("adjustableTrailingUnit"),
    *texts("extOperator", "softDollarTierName", "softDollarTierValue"),
    *decimals("cashQty"),
    *texts("mifid2DecisionMaker", "mifid2DecisionAlgo"),
    *texts("mifid2ExecutionTrader", "mifid2ExecutionAlgo"),
    *flags("dontUseAutoPriceForHedge", "isOmsContainer", "discretionaryUpToLimitPrice"),
    F("usePriceMgmtAlgo"),
    F("duration", read_optional_int, 158),
    F("postToAts", read_optional_int, 160),
    F("autoCancelParent", read_bool, 162),
    F("advancedErrorOverride", since=166),
    F("manualOrderTime", since=169),
    When(
        lambda values: values["exchange"] == "IBKRATS", (F("minTradeQty", read_optional_int, 170),)
    ),
    When(
        _kind_in("PEG BEST", "PEGBEST"),
        (
            F("minCompeteSize", read_optional_int, 170),
            F("competeAgainstBestOffset", read_decimal, 170),
        ),
    ),
    When(
        lambda values: (
            values["orderType"] in {"PEG MID", "PEGMID"}
            or values.get("competeAgainstBestOffset") == Decimal("Infinity")
        ),
        (F("midOffsetAtWhole", read_decimal, 170), F("midOffsetAtHalf", read_decimal, 170)),
    ),
)

PLACE_ORDER: tuple[Item, ...] = (*_CONTRACT, *_MAIN, *_VOLATILITY, *_ALGO, *_TAIL)


def _decimals(items: tuple[Item, ...]) -> list[str]:
    names = [item.name for item in items if isinstance(item, F) and item.read is read_decimal]
    return names + [n for item in items if isinstance(item, When) for n in _decimals(item.items)]


DECIMAL_FIELDS = frozenset(_decimals(PLACE_ORDER))
