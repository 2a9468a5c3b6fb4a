"""What each broker code asks of the system, and what one that nobody knows does."""

import pytest

from tasks.broker.codes import Reaction, is_known, is_refusal, reaction_to


@pytest.mark.parametrize(
    ("code", "reaction"),
    [
        (2104, Reaction.HARMLESS),
        (2158, Reaction.HARMLESS),
        (399, Reaction.HARMLESS),
        (404, Reaction.HARMLESS),
        (10349, Reaction.HARMLESS),
        (202, Reaction.HARMLESS),
        (1100, Reaction.RETRY_LATER),
        (2110, Reaction.RETRY_LATER),
        (1300, Reaction.RETRY_LATER),
        (326, Reaction.RETRY_LATER),
        (10197, Reaction.RETRY_LATER),
        (110, Reaction.REJECT),
        (201, Reaction.REJECT),
        (321, Reaction.REJECT),
        (460, Reaction.REJECT),
        (103, Reaction.UNKNOWN),
        (104, Reaction.UNKNOWN),
        (161, Reaction.UNKNOWN),
        (10147, Reaction.UNKNOWN),
        (10148, Reaction.UNKNOWN),
        (320, Reaction.HALT),
        (10141, Reaction.HALT),
        (987654, Reaction.UNKNOWN),
        (-5, Reaction.UNKNOWN),
    ],
)
def test_every_code_asks_for_one_reaction(code, reaction):
    assert reaction_to(code) is reaction
    assert is_known(code) == (code not in (987654, -5))


def test_a_duplicate_id_refuses_one_sending_and_proves_no_end():
    assert is_refusal(103)
    assert reaction_to(103) is Reaction.UNKNOWN
