"""How the runs of this process ended, kept apart from Prefect: its server may be gone by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.domain.errors import RoboError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a flow hands back: a line for people and the facts behind it."""

    message: str
    facts: Any = None
    skipped: bool = False


@dataclass(slots=True)
class RunEnd:
    """The end of the outermost run: its outcome, or its error.

    An error of this system stays when a run around it then fails for another reason, such as that
    Prefect does not answer: it is the one that says what to do.
    """

    outcome: Outcome | None = None
    error: BaseException | None = None
    depth: int = 0

    def begin(self) -> None:
        """A run has begun; the outermost one forgets what was before."""
        if self.depth == 0:
            self.forget()
        self.depth += 1

    def forget(self) -> None:
        """No run has ended yet."""
        self.outcome, self.error, self.depth = None, None, 0

    def succeed(self, outcome: Outcome) -> None:
        """The innermost running run came to `outcome`."""
        self.depth -= 1
        self.outcome, self.error = outcome, None

    def fail(self, error: BaseException) -> bool:
        """The innermost running run raised; return whether that is news, not a step's own error."""
        self.depth -= 1
        self.outcome = None
        known = self.error is not None and (
            error is self.error or (type(error), str(error)) == (type(self.error), str(self.error))
        )
        if not known and (isinstance(error, RoboError) or not isinstance(self.error, RoboError)):
            self.error = error
        return not known


last_end = RunEnd()
