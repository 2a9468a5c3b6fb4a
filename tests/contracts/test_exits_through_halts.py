"""Stops and targets whose session died while it placed them, and the halt that came then."""

from datetime import timedelta
from decimal import Decimal

import pytest

from models.domain.orders import ParentState
from models.domain.regimes import Regime
from tasks.books.account_snapshot import read_account
from tasks.books.reconciliation import reconcile
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.halts.resuming import resume_trading
from tasks.limits import load_limits
from warehouse.ledger.symbol_facts import SymbolFacts

pytestmark = pytest.mark.journey

LIMITS = """
max_price_gap = 1.0
[exits]
mode = "resting"
"""


class Death(BaseException):
    """What no handler of the session takes for an error."""


@pytest.fixture
def resting(settings, tmp_path):
    """Settings and limits with exits at the broker, as every command reads them."""
    path = tmp_path / "limits.toml"
    path.write_text(LIMITS)
    return settings.model_copy(update={"limits_file": path}), load_limits(path)


@pytest.fixture
def bought(ledger, gateway, make_span, make_parent):
    """Plan the purchase of 30 shares of a symbol that can have a stop."""

    def plan(symbol):
        span = make_span(gateway, 6)
        facts = SymbolFacts(symbol, Decimal(100), 1e7, 1.5, Regime.BULL)
        ledger.facts.note(span.session, [facts], span.start - timedelta(hours=1))
        ledger.parents.add([make_parent(span, symbol, quantity=30)])
        return span.session

    return plan


def require_protected(settings, ledger, symbol):
    (exits,) = [r.order for r in ledger.parents.open_exits() if r.order.symbol == symbol]
    shown = read_account(settings)
    resting = [o for o in shown.open_orders if o.symbol == symbol]
    assert (exits.quantity, len(resting)) == (30, 2)
    assert {o.remaining for o in resting} == {30}
    assert reconcile(ledger, shown).agrees


@pytest.mark.parametrize(("boundary", "symbol"), [("send-before", "WMT"), ("send-after", "XOM")])
def test_a_halt_after_a_death_at_the_send_of_a_stop_can_be_lifted(
    resting, ledger, bought, execute, boundary, symbol
):
    """What the session left in the middle is settled by the resume: no session may run before."""
    settings, limits = resting
    session = bought(symbol)

    def dies(passed):
        if passed == boundary and ledger.parents.open_exits():
            raise Death

    with pytest.raises(Death):
        execute(settings, ledger, limits=limits, crash_plan=dies)
    ledger.watch_commits(lambda _boundary: None)
    halt_trading(settings, HaltOrder("what is this", "tester"))
    assert resume_trading(settings, ledger, "seen to", "tester").resumed
    execute(settings, ledger, limits=limits)
    assert {r.state for r in ledger.parents.of_session(session)} == {ParentState.FILLED}
    require_protected(settings, ledger, symbol)


def test_a_pair_that_the_broker_refused_without_a_trace_is_sent_again_in_the_same_session(
    resting, ledger, gateway, bought, execute
):
    """Refused as duplicates, the orders have no status, now or ever."""
    settings, limits = resting
    bought("KO")
    armed = []

    def refuses(_passed):
        if ledger.parents.open_exits() and not armed:
            armed.append(gateway.ask("fault", fault="duplicate-id", params={"count": 2}))

    execute(settings, ledger, limits=limits, crash_plan=refuses)
    assert armed
    require_protected(settings, ledger, "KO")
