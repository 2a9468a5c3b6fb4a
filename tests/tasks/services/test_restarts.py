"""A service is started again a few times with growing pauses, then no more."""

from tasks.services.restarts import RestartBudget


def test_five_restarts_with_growing_pauses_then_none():
    budget = RestartBudget()
    pauses = [budget.next_pause(float(second)) for second in range(6)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, None]


def test_restarts_of_long_ago_do_not_count():
    budget = RestartBudget(most=2, window=600.0)
    assert [budget.next_pause(0.0), budget.next_pause(1.0), budget.next_pause(2.0)] == [1, 2, None]
    assert budget.next_pause(600.5) == 2.0, "only the restart at 1 s counts still"
    assert budget.used == 2
