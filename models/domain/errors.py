"""One exception tree, named by the reaction that an error needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.domain.halts import HaltCode


class RoboError(Exception):
    """Root of every error that this system raises on purpose; its text says what to do next."""


class HaltTrading(RoboError):
    """Stop sending orders now: a risk limit, a mismatch or an operator's halt demands a person."""


class AutomaticHalt(HaltTrading):
    """A limit of the system itself was hit: the session keeps a halt under `code` and ends."""

    def __init__(self, code: HaltCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class RetryLater(RoboError):
    """The outside world is not ready (locked file, gateway down): nothing is lost, run it again."""


class LeaseHeld(RetryLater):
    """Another session of this system is at work; nothing is wrong, run it again once that ended."""


class SkipToday(RoboError):
    """There is rightly nothing to do: the market is closed, or another process does the work."""


class AskPerson(RoboError):
    """A person must decide about something; whatever it does not concern goes on meanwhile.

    `open_points` are what is to be decided, each as plain facts by name.
    """

    def __init__(self, text: str, open_points: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(text)
        self.open_points = tuple(open_points)


class InvalidInput(RoboError):
    """What was given cannot be used: an unknown symbol, a bad setting, a malformed file."""
