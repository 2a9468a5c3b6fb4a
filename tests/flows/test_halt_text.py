"""What a halt says: whether new orders are blocked, always; and no count is guessed."""

from dataclasses import replace

from flows.cli_halt import halted_text
from tasks.halts.halting import HaltOutcome

WHOLE = HaltOutcome("enough", "", 3, 0, 0.01, 0.02, "")


def test_a_whole_halt_tells_both_times_and_how_to_lift_it():
    assert halted_text(WHOLE) == (
        "halted: enough. New orders are blocked (after 0.01 s) until `robo resume`; 3 working "
        "orders cancelled, 0 left (cancels sent after 0.02 s)"
    )
    assert "until `robo resume --symbol KO`" in halted_text(replace(WHOLE, symbol="KO"))


def test_without_a_gateway_new_orders_are_blocked_and_nothing_is_counted():
    cut = replace(WHOLE, cancelled=0, cancelled_after=None, trouble="no gateway answers")
    assert halted_text(cut) == (
        "halt incomplete: no gateway answers; new orders ARE blocked (after 0.01 s) until "
        "`robo resume`"
    )


def test_a_halt_that_was_not_recorded_claims_no_block():
    text = halted_text(replace(WHOLE, blocked_after=None, trouble="could NOT be recorded"))
    assert text == "halt incomplete: could NOT be recorded; 3 working orders cancelled, 0 left"
