"""What the desk sends is on a tick of the symbol's own market rule, on the safe side."""

from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput, RetryLater
from models.domain.market_rules import MarketRule, PriceBand
from models.domain.orders import Side
from tasks.broker.protocol import BrokerNotice
from tasks.session.broker_notices import look_up_doubted
from tasks.session.recovery import recover

NICKELS = MarketRule(
    (PriceBand(Decimal(0), Decimal("0.05")), PriceBand(Decimal(30), Decimal("0.25")))
)


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "50.00"), (Side.SELL, "50.00")])
async def test_a_child_is_priced_by_the_rule_of_its_symbol(
    start_desk, make_parent, broker, minute, side, price
):
    """The quote is 49.99 to 50.00: 5 bps past it is 50.025 for a buy, 49.965 for a sale."""
    broker.rules["KO"] = NICKELS
    broker.positions = {"KO": 90}
    desk = start_desk(make_parent("KO", side))
    await recover(desk, 0)
    desk.slice_due(minute(0))
    sent = [child.limit_price for child in broker.sent]
    if side is Side.BUY:
        assert sent == [Decimal(price)]
        assert desk.ledger.children.get("p-KO.1.1").order.limit_price == Decimal(price)
    else:
        assert sent == [], "rounded up to 50.00 a sale could not trade at the bid of 49.99"


async def test_a_refusal_by_price_or_contract_has_it_looked_up_again(
    start_desk, parent, broker, minute
):
    desk = start_desk(parent)
    await recover(desk, 0)
    desk.slice_due(minute(0))
    broker.events.append(BrokerNotice(110, "no tick", "p-KO.1.1"))
    broker.events.append(BrokerNotice(201, "no funds", "p-KO.1.1"))
    desk.pump(broker.now)
    assert desk.doubted == {"KO"}
    await look_up_doubted(desk)
    assert (broker.looked_up, desk.doubted) == (["KO"], set())


@pytest.mark.parametrize(
    ("problem", "alerts"), [(InvalidInput("gone"), 1), (RetryLater("busy"), 0)]
)
async def test_a_look_up_that_fails_ends_no_session(start_desk, parent, broker, problem, alerts):
    desk = start_desk(parent)
    told = []
    desk.alert = lambda *words: told.append(words)
    desk.doubted = {"KO"}

    async def refuse(*_symbols, **_how):
        raise problem

    broker.qualify = refuse
    await look_up_doubted(desk)
    assert len(told) == alerts
