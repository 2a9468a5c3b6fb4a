"""Rows in their time order within each symbol: order, repeats, steps and returns, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826  # of a normal distribution (Hampel 1974)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Rows of several symbols. `codes` number the symbols, `key` is their time, as whole numbers.

    `order` sorts rows by symbol, time and place; `follows` says, in that order, whether a row has
    one of the same symbol before it.
    """

    codes: NDArray[np.int64]
    key: NDArray[np.int64]
    order: NDArray[np.int64]
    follows: NDArray[np.bool_]

    @classmethod
    def of(cls, codes: NDArray[np.int64], key: NDArray[np.int64]) -> Sequence:
        """Sort the rows, unless they are sorted."""
        behind = (codes[1:] < codes[:-1]) | ((codes[1:] == codes[:-1]) & (key[1:] < key[:-1]))
        order = np.lexsort((key, codes)) if behind.any() else np.arange(len(codes))
        return cls(codes, key, order, _follows(codes[order]))

    def back(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values that stand in time order at the places of the rows."""
        placed = np.empty_like(values)
        placed[self.order] = values
        return placed

    def steps_back(self) -> NDArray[np.int8]:
        """Return 1 for each row that stands behind a later one of its symbol."""
        by_symbol = np.argsort(self.codes, kind="stable")
        key = self.key[by_symbol]
        late = np.zeros(len(key), dtype=np.int8)
        late[1:] = (self.codes[by_symbol][1:] == self.codes[by_symbol][:-1]) & (key[1:] < key[:-1])
        placed = np.empty_like(late)
        placed[by_symbol] = late
        return placed

    def repeats(self, values: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return 1 for exact copies of an earlier row, and 1 for rows that contradict each other.

        `values` is (rows, columns); two rows of one symbol and time with the same values are a copy
        of each other, with other values all rows of that time contradict.
        """
        none = np.zeros(len(self.key), dtype=np.int8)
        key = self.key[self.order]
        again = np.zeros(len(key), dtype=bool)
        again[1:] = self.follows[1:] & (key[1:] == key[:-1])
        if not again.any():
            return none, none
        rows = values[self.order]
        equal = np.zeros(len(key), dtype=bool)
        equal[1:] = ((rows[1:] == rows[:-1]) | (np.isnan(rows[1:]) & np.isnan(rows[:-1]))).all(1)
        group = np.cumsum(~again) - 1
        differs = np.bincount(group, weights=again & ~equal) > 0
        contradicts = differs[group]
        copies = again & ~contradicts
        return self.back(copies.astype(np.int8)), self.back(contradicts.astype(np.int8))

    def runs_of_equals(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many rows before each one have exactly its values, without interruption."""
        rows = values[self.order]
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = self.follows[1:] & (rows[1:] == rows[:-1]).all(1)
        places = np.arange(len(rows))
        last_other = np.maximum.accumulate(np.where(same, 0, places))
        return self.back(places - last_other)


def _follows(sorted_codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    follows = np.zeros(len(sorted_codes), dtype=bool)
    follows[1:] = sorted_codes[1:] == sorted_codes[:-1]
    return follows


def robust_sigma(
    values: NDArray[np.float64], codes: NDArray[np.int64], floor: float
) -> NDArray[np.float64]:
    """Return, by row, 1.4826 x the median absolute deviation of its symbol's values.

    `codes` are sorted; not less than `floor`, which stands for few or equal values.
    """
    sigma = np.full(len(values), floor)
    bounds = np.flatnonzero(np.diff(codes)) + 1
    for part in np.split(np.arange(len(values)), bounds):
        if len(part) > 2:
            inside = values[part]
            spread = np.median(np.abs(inside - np.median(inside)))
            sigma[part] = max(floor, MAD_TO_SIGMA * float(spread))
    return sigma
