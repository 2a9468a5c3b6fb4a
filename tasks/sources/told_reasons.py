"""Why rows were refused, told shortly: the commonest reasons, and unknown symbols by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tasks.sources.tickers import UNKNOWN

MOST_REASONS = 8
MOST_SYMBOLS = 10
UNKNOWN_ADVICE = (
    "--new-symbols takes unknown symbols for new instruments; --symbol and ROBO_UNIVERSE name "
    "those that are wanted"
)


def told(reasons: Counter[str]) -> str:
    """Return the reasons with their rows in one line, as `told_each` has them."""
    return "; ".join(told_each(reasons))


def told_each(reasons: Counter[str]) -> list[str]:
    """Return the reasons with their rows, the commonest first; unknown symbols are one reason."""
    unknown = Counter({why: count for why, count in reasons.items() if why.startswith(UNKNOWN)})
    parts = [(count, why) for why, count in reasons.items() if why not in unknown]
    if len(unknown) == 1:
        parts += [(count, why) for why, count in unknown.items()]
    elif unknown:
        names = sorted(why.removeprefix(UNKNOWN).partition(":")[0].strip() for why in unknown)
        shown = ", ".join(names[:MOST_SYMBOLS]) + (" …" if len(names) > MOST_SYMBOLS else "")
        parts.append(
            (unknown.total(), f"{len(names)} symbols are no instruments of the warehouse: {shown}")
        )
    parts.sort(key=lambda part: -part[0])
    lines = [f"{count} because {why}" for count, why in parts[:MOST_REASONS]]
    rest = sum(count for count, _ in parts[MOST_REASONS:])
    return [*lines, *([f"{rest} for other reasons"] if rest else [])]


def mostly_unknown(reasons: Sequence[str]) -> bool:
    """Tell whether most of the rows were refused because nobody knows their symbols."""
    return sum(why.startswith(UNKNOWN) for why in reasons) * 2 > len(reasons)
