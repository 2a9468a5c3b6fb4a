"""While orders are worked the garbage collector looks at new things only, and seldom."""

import gc

import pytest

from tasks.session.collector import THRESHOLDS, few_collections


def test_what_was_there_is_left_alone_until_the_end() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with few_collections():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > frozen + 1000
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_failure_inside_puts_all_back() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="in the middle"), few_collections():
        raise ValueError("in the middle")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
