"""What a symbol's returns say about its bars: jumps, spikes, missed splits, other companies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.quality.sequence import Sequence, robust_sigma

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIMPLE_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0)
# Log units between an overnight move and the split: of ratios below two, two, above. There are
# crashes as large as a small split, so that one must be met closely.
TOLERANCES = (0.012, 0.03, 0.1)
CALM_RANGE = 0.5  # a split day's own range is no more than this share of the jump
SPLIT_SIGMAS = 8.0
SPIKE_RETURNS = 0.2  # of the jump is what may be left of it a bar later


@dataclass(frozen=True, slots=True)
class Scale:
    """What is usual for bars of one length: log units of one bar.

    `floor` is the least volatility, `spike` the least move of a spike, `shift` the move beyond
    which it must be another company's price; time scales by its square root up to `longest` bars.
    """

    floor: float
    spike: float
    shift: float
    longest: int


@dataclass(frozen=True, slots=True)
class Findings:
    """By row: the move in robust sigmas, 1 for spikes and what looks like a split, and 1 from an
    unexplained split or change of level on. `undecided` is 1 for a symbol's last row when only the
    bar after it can tell whether it is a spike.
    """

    jump: NDArray[np.float64]
    spike: NDArray[np.int8]
    split_like: NDArray[np.int8]
    since_split: NDArray[np.int8]
    since_shift: NDArray[np.int8]
    undecided: NDArray[np.int8]


def look_at_returns(
    sequence: Sequence,
    prices: NDArray[np.float64],
    split_logs: NDArray[np.float64],
    elapsed: NDArray[np.int64],
    scale: Scale,
) -> Findings:
    """Judge close-to-close returns per symbol against 1.4826 x MAD.

    `prices` is (rows, 4): open, high, low, close in USD. `split_logs` is the log of the split ratio
    that goes into force with a row, `elapsed` the bars since the one before; both at the rows'
    places. Rows without usable prices are left out of the returns.
    """
    rows = len(prices)
    with np.errstate(invalid="ignore"):
        usable = np.asarray((np.isfinite(prices) & (prices > 0)).all(axis=1))
    at = sequence.order[usable[sequence.order]]  # places of usable rows, in time order
    codes, logs = sequence.codes[at], np.log(prices[at])
    follows = np.zeros(len(at), dtype=bool)
    follows[1:] = (codes[1:] == codes[:-1]) & (sequence.key[at][1:] > sequence.key[at][:-1])
    raw = _moves(logs[:, 3], logs[:, 3], follows)
    split = np.where(follows, split_logs[at], 0.0)
    moves = np.where(np.abs(raw + split) < np.abs(raw), raw + split, raw)
    overnight = _moves(logs[:, 0], logs[:, 3], follows)
    sigma = robust_sigma(moves, codes, scale.floor)
    sigma = sigma * np.sqrt(np.clip(elapsed[at], 1, scale.longest))
    sizes = np.abs(moves)
    after = np.append(np.where(follows[1:], moves[1:], 0.0), 0.0)[: len(moves)]
    large = (sizes > scale.spike) & (sizes > SPLIT_SIGMAS * sigma)
    spikes = large & (np.abs(moves + after) < SPIKE_RETURNS * sizes)
    explained = (split != 0.0) & (sizes < scale.shift)
    way_back = np.append(False, spikes[:-1])[: len(spikes)]  # the bar after a spike is right
    unexplained = follows & ~spikes & ~way_back & ~explained
    last = np.append(codes[1:] != codes[:-1], True)[: len(codes)]
    calm = (logs[:, 1] - logs[:, 2]) < CALM_RANGE * sizes
    splits = unexplained & (sizes > SPLIT_SIGMAS * sigma) & calm & _near_ratio(overnight)
    shifts = unexplained & (sizes > scale.shift)
    return Findings(
        jump=_placed(np.where(spikes | way_back, 0.0, sizes / sigma), at, rows),
        spike=_placed(spikes.astype(np.int8), at, rows),
        split_like=_placed(splits.astype(np.int8), at, rows),
        since_split=_placed(_from_then_on(splits, codes), at, rows),
        since_shift=_placed(_from_then_on(shifts, codes), at, rows),
        undecided=_placed((large & last & unexplained).astype(np.int8), at, rows),
    )


def _moves(
    now: NDArray[np.float64], before: NDArray[np.float64], follows: NDArray[np.bool_]
) -> NDArray[np.float64]:
    moves = np.zeros(len(now))
    moves[1:] = now[1:] - before[:-1]
    return np.where(follows, moves, 0.0)


def _near_ratio(moves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which moves lie near a simple split or reverse split."""
    near = np.zeros(len(moves), dtype=bool)
    for ratio in SIMPLE_RATIOS:
        tolerance = TOLERANCES[int(ratio >= 2) + int(ratio > 2)]
        near |= np.abs(np.abs(moves) - np.log(ratio)) < tolerance
    return near


def _from_then_on(hits: NDArray[np.bool_], codes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return 1 for every hit and all later rows of its symbol; rows are sorted by symbol."""
    since = np.zeros(len(hits), dtype=np.int8)
    for place in np.flatnonzero(hits):
        since[place : np.searchsorted(codes, codes[place], side="right")] = 1
    return since


def _placed(values: NDArray[Any], at: NDArray[np.int64], rows: int) -> NDArray[Any]:
    placed = np.zeros(rows, dtype=values.dtype)
    placed[at] = values
    return placed
