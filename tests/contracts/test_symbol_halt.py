"""A symbol halted at the exchange: nothing is sent on old quotes, and others trade on."""

import pytest

from models.domain.orders import ChildState, ParentState

pytestmark = pytest.mark.journey


def test_a_halted_symbol_waits_without_a_loop_and_is_filled_once_it_trades_again(
    gateway, settings, ledger, make_span, make_parent, execute
):
    span = make_span(gateway, 24)
    parents = [make_parent(span, symbol, quantity=24) for symbol in ("KO", "PEP")]
    ledger.parents.add(parents)
    during = {}

    def follow(progress):
        """Halt KO after the first slice, and let it trade again two slices later."""
        sent = len(ledger.children.of_parent(parents[0].parent_id))
        if "halted" not in during:
            during["halted"] = sent
            gateway.ask("halt", symbol="KO")
        elif progress.at >= span.start + (span.end - span.start) / 2 and "resumed" not in during:
            during["resumed"] = sent
            gateway.ask("resume", symbol="KO")

    eight = settings.model_copy(update={"slices": 8})
    execute(eight, ledger, on_progress=follow)
    ko, pep = (ledger.parents.get(parent.parent_id) for parent in parents)
    assert (ko.state, pep.state) == (ParentState.FILLED, ParentState.FILLED), ko.reason
    assert during["resumed"] - during["halted"] <= 1, "no order after order into a halt"
    children = ledger.children.of_parent(parents[0].parent_id)
    assert sum(child.state is ChildState.REJECTED for child in children) <= 1
