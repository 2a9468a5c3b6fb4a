from dataclasses import fields

import pytest

from models.domain.errors import InvalidInput
from models.risk.limits import RiskLimits


def test_a_mapping_sets_some_limits_and_keeps_the_other_defaults():
    limits = RiskLimits.from_mapping({"max_adv_share": 0.02, "restricted": ["gme", " AMC "]})
    assert limits.max_adv_share == 0.02
    assert limits.restricted == {"GME", "AMC"}
    assert limits.max_gross_exposure == RiskLimits().max_gross_exposure


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"max_adv;.*max_adv_share"):
        RiskLimits.from_mapping({"max_adv": 0.02})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_order_quantity", 0, "whole number from 1 to"),
        ("max_order_quantity", 10.0, "whole number"),
        ("max_order_quantity", True, "whole number"),
        ("max_order_notional", float("nan"), "number from 1 to"),
        ("max_order_notional", "50000", "number from 1 to"),
        ("price_collar_bps", 5_001, "from 1 to 5000"),
        ("max_position_weight", 1.01, "from 0.001 to 1"),
        ("max_gross_exposure", float("inf"), "from 0.01 to 4"),
        ("max_net_exposure", 0, "from 0.01 to 4"),
        ("max_adv_share", 0.3, "to 0.25"),
        ("max_orders_per_minute", 0, "from 1 to 1800"),
        ("duplicate_window", -1, "from 0 to 86400"),
        ("max_daily_loss", 0.6, "to 0.5"),
        ("max_drawdown", None, "to 0.9"),
        ("max_quote_age", 0, "from 0.1 to 3600"),
        ("restricted", "GME", "a list of symbols"),
        ("restricted", ["GME", 1], "a list of symbols"),
        ("restricted", [""], "a list of symbols"),
        ("allow_short", 1, "true or false"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_value_and_range(name, value, allowed):
    with pytest.raises(InvalidInput) as refused:
        RiskLimits.from_mapping({name: value})
    text = str(refused.value)
    assert name in text
    assert repr(value) in text
    assert allowed in text


def test_every_limit_is_validated():
    for field in fields(RiskLimits):
        with pytest.raises(InvalidInput, match=field.name):
            RiskLimits.from_mapping({field.name: object()})
