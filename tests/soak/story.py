"""What one universe tells of itself."""

from collections import Counter
from dataclasses import dataclass, field

from verdict import Verdict


@dataclass
class Story:
    """What happened in one universe, for the summary and for a replay."""

    seed: int
    points: Counter = field(default_factory=Counter)
    verbs: Counter = field(default_factory=Counter)
    shape: str = ""
    postgres: bool = False
    sessions: int = 0
    lines: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0

    def tell(self, line: str) -> None:
        self.lines.append(line)
