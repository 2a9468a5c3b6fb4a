"""Contracts and market rules are asked for once, kept over a reconnect, and asked for anew."""

from collections import Counter
from decimal import Decimal

import pytest

from models.domain.errors import InvalidInput
from models.domain.market_rules import MarketRule, PriceBand
from models.domain.orders import Side
from tasks.broker.contracts import ContractBook, ContractFacts
from tasks.broker.ibkr import OrderConnection, PacedClient
from tasks.broker.market_data import DataConnection

pytestmark = pytest.mark.journey
IDS = {"reqContractDetails": "9", "reqMarketRule": "91"}
CENTS = MarketRule((PriceBand(Decimal(0), Decimal("0.01")),))


@pytest.fixture
def requests(monkeypatch):
    """Count the messages that this process has written to a gateway, by what they ask."""
    sent = Counter()
    send = PacedClient.sendMsg

    def counted(self, msg):
        sent[(msg or "").partition("\0")[0]] += 1
        send(self, msg)

    monkeypatch.setattr(PacedClient, "sendMsg", counted)
    return lambda name: sent[IDS[name]]


async def test_a_look_up_serves_every_connection_and_outlives_it(gateway, requests):
    book = ContractBook()
    details, rules = requests("reqContractDetails"), requests("reqMarketRule")
    for _ in range(2):
        orders = await OrderConnection.open(gateway.address(11), 5.0, None, book)
        data = await DataConnection.open(gateway.address(12), 5.0, None, book)
        await orders.qualify(["KO", "PEP"])
        await data.subscribe(["KO", "PEP"])
        assert orders.market_rule("KO") == CENTS
        await orders.close()
        await data.close()
    assert requests("reqContractDetails") - details == 2
    assert requests("reqMarketRule") - rules == 1, "both share a rule"
    orders = await OrderConnection.open(gateway.address(11), 5.0, None, book)
    await orders.qualify(["KO"], refresh=True)
    await orders.close()
    assert requests("reqContractDetails") - details == 3
    assert requests("reqMarketRule") - rules == 2


async def test_an_order_goes_out_by_a_contract_of_an_earlier_connection(gateway, make_child):
    book = ContractBook()
    first = await OrderConnection.open(gateway.address(11), 5.0, None, book)
    await first.qualify(["KO"])
    await first.close()
    again = await OrderConnection.open(gateway.address(11), 5.0, None, book)
    await again.qualify(["KO"])
    child = make_child(again.next_order_id(), "1.00", tif="DAY")
    again.send(child)
    await again.flush()
    evidence = await again.collect_evidence()
    assert [o.symbol for o in evidence.open_orders if o.order_ref == child.order_ref] == ["KO"]
    await again.cancel_everything()
    await again.close()


async def test_an_unknown_symbol_is_named_and_not_kept(gateway):
    book = ContractBook()
    async with gateway.orders() as link:
        link._book = book
        with pytest.raises(InvalidInput, match="no US stock NOPE"):
            await link.qualify(["KO", "NOPE"])
    assert book.get("KO") is not None
    assert book.get("NOPE") is None


def test_a_symbol_that_moves_to_another_contract_follows_it():
    book = ContractBook()
    book.put(ContractFacts(1, "KO", "SMART", 26, Decimal("0.01")))
    book.put(ContractFacts(2, "KO", "SMART", 0, Decimal("0.05")))
    assert book.get("KO").con_id == 2
    assert book.rule_of("KO").rounded(Decimal("1.03"), Side.BUY) == Decimal("1.00")
    assert book.missing_rules(["KO"]) == [], "a contract that names no rule has its smallest tick"


def test_a_refused_price_makes_the_session_look_the_contract_up_again(
    gateway, settings, ledger, make_span, make_parent, execute, requests
):
    """The gateway refuses one order with 110: rule and contract are read anew, the rest fills."""
    span = make_span(gateway, 9)
    parent = make_parent(span, "KO", quantity=13)
    ledger.parents.add([parent])
    before = requests("reqContractDetails")
    gateway.ask("fault", fault="off-tick", params={})
    execute(settings, ledger)
    assert ledger.parents.get(parent.parent_id).state == "FILLED"
    states = [c.state for c in ledger.children.of_parent(parent.parent_id)]
    assert states.count("REJECTED") == 1
    assert requests("reqContractDetails") - before == 2
