"""A session again: the same seed gives the same commands, and its tape replays byte for byte."""

import pytest

from models.domain.orders import Side
from models.execution import engine
from models.execution.engine import restore, step
from tasks.session.recovery import slicing_policy

pytestmark = pytest.mark.journey

DENIED = "denied"


def as_bytes(commands):
    return "\n".join(repr(command) for command in commands).encode()


@pytest.fixture
def worked_day(start_gateway, open_ledger, make_span, make_parent, execute, monkeypatch):
    """Work two parents on a gateway; return them, policies, tape, all commands, those carried out.

    The tape holds, in order, which parent took which event; DENIED where a check then refused its
    child, so that the engine kept the state from before.
    """

    def work(name):
        own = start_gateway(name, "--seed", "11", "--clock", "step")
        ledger = open_ledger(own.settings)
        span = make_span(own, 9)
        parents = [
            make_parent(span, "KO", quantity=31),
            make_parent(span, "PFE", Side.BUY, quantity=14),
        ]
        ledger.parents.add(parents)
        tape, commands, sent, last, refused = [], [], [], {}, {}

        def taped(execution, event):
            parent_id = execution.parent.parent_id
            if parent_id in last and execution is not last[parent_id][1]:
                assert execution is last[parent_id][0]
                tape.append((parent_id, DENIED))
                for command in refused.pop(parent_id):
                    sent.remove(command)
            after, more = step(execution, event)
            last[parent_id], refused[parent_id] = (execution, after), more
            sent.extend(more)
            tape.append((parent_id, event))
            commands.extend(more)
            return after, more

        with monkeypatch.context() as patch:
            patch.setattr("tasks.session.orders.step", taped)
            execute(own.settings, ledger)
        policies = {p.parent_id: slicing_policy(ledger, own.settings, p) for p in parents}
        return parents, policies, tape, commands, sent

    return work


def test_the_same_seed_and_day_give_the_same_commands_and_replay_byte_for_byte(worked_day):
    parents, policies, tape, commands, sent = worked_day("first")
    assert len(commands) >= 8
    again = {p.parent_id: restore(p, policies[p.parent_id]) for p in parents}
    replayed, before = [], {}
    for parent_id, event in tape:
        if event == DENIED:
            again[parent_id] = before[parent_id]
            continue
        before[parent_id] = again[parent_id]
        again[parent_id], more = engine.step(again[parent_id], event)
        replayed.extend(more)
    assert as_bytes(replayed) == as_bytes(commands)
    *_, second = worked_day("second")
    assert as_bytes(second) == as_bytes(sent), "a check may ask twice on a busy machine, no more"
