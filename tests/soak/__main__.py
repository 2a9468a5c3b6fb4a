"""Randomised crashes of the order path: `make soak POINTS=n SEED=s`.

Each universe has a seed of its own, SEED, SEED + 1 and so on, until POINTS crashes have happened.
A share of them keeps its ledger on PostgreSQL, where that is installed (else on SQLite).
POINTS=1 runs the one universe of that seed and prints its story: so a failing seed is replayed.
The last line says it all; exit code 1 when a share was lost or doubled, or a parent quarantined.
"""

import argparse
import sys
import time
from collections import Counter

from pool import Pool
from story import Story


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/soak", description=__doc__)
    parser.add_argument("points", nargs="?", type=int, default=3000, help="crashes (from 1)")
    parser.add_argument("seed", nargs="?", type=int, default=1, help="seed of the first universe")
    parser.add_argument("--workers", type=int, default=4, help="universes at a time")
    asked = parser.parse_args()
    if asked.points < 1 or asked.seed < 0 or asked.workers < 1:
        parser.error("points and workers count from 1, seeds from 0")
    started = time.monotonic()
    stories = []
    with Pool(1 if asked.points == 1 else asked.workers, asked.seed) as pool:
        reported = started
        for story in pool.stories(asked.points):
            stories.append(story)
            if asked.points == 1 or not story.verdict.is_clean:
                _print(story)
            if time.monotonic() - reported > 10:
                reported = time.monotonic()
                done = sum(s.points.total() for s in stories)
                print(f"{done} of {asked.points} points, {reported - started:.0f} s", flush=True)
    return _summary(stories, time.monotonic() - started)


def _print(story: Story) -> None:
    print(f"seed {story.seed} ({story.seconds:.1f} s):")
    for line in story.lines:
        print(f"  {line}")
    verdict = story.verdict
    words = f"{verdict.lost} shares lost, {verdict.doubled} doubled"
    print(f"  verdict: {words}, {verdict.quarantined} parents quarantined")
    for line in verdict.broken:
        print(f"  broken: {line}")
    sys.stdout.flush()


def _summary(stories: list[Story], seconds: float) -> int:
    kinds = sum((s.points for s in stories), start=Counter())
    listed = _counts(kinds)
    on_server = sum(story.postgres for story in stories)
    sessions = sum(story.sessions for story in stories)
    print(f"{len(stories)} universes, {sessions} sessions, {seconds:.0f} s; deaths: {listed}")
    print(f"universes: {_counts(Counter(s.shape for s in stories))}; on PostgreSQL {on_server}")
    print(f"verbs: {_counts(sum((s.verbs for s in stories), start=Counter())) or 'none'}")
    failing = [story.seed for story in stories if not story.verdict.is_clean]
    lost = sum(story.verdict.lost for story in stories)
    doubled = sum(story.verdict.doubled for story in stories)
    held = sum(story.verdict.quarantined for story in stories)
    print(
        f"points {kinds.total()}, lost {lost} shares, doubled {doubled} shares, quarantined {held} "
        f"parents, failing seeds {', '.join(map(str, failing)) or 'none'}"
    )
    return 1 if failing else 0


def _counts(counter: Counter) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counter.most_common())


if __name__ == "__main__":
    sys.exit(main())
