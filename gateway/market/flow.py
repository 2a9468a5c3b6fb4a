"""The background's limit orders: who rests at a price, since when and until when.

Every price of each side has a few slots in which one order follows another. An order's arrival,
cancellation and size are a hash of seed, instrument, session, side, price, slot and turn (after the
independent Poisson arrivals and cancellations per price of Cont, Stoikov & Talreja, 2010, section
2), so that the queue at any price and moment is found without playing what came before it.
"""

from __future__ import annotations

from bisect import bisect_right
from math import exp
from typing import NamedTuple

from gateway.timeline import SECOND

LIVES = (2, 6, 15, 40, 110, 300)  # seconds that a turn of each slot lasts
STANDING = 25  # seconds of a turn of the slot that is never empty
_MASK = (1 << 64) - 1
_WORD = 1 << 16
_LOT_TABLE = tuple(exp(-0.5 * 0.8**2 + 0.8 * z) for z in (-2, -1.4, -1, -0.6, -0.3, 0, 0.3, 0.6))
_LOT_TAIL = tuple(exp(-0.5 * 0.8**2 + 0.8 * z) for z in (1.0, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0))
_SIZES = (*_LOT_TABLE, *_LOT_TABLE, *_LOT_TABLE, *_LOT_TAIL)  # log-normal, as 32 equal chances


class Resting(NamedTuple):
    """One background order: when it came and when it goes (microseconds since the open), shares.

    `shy` in [0, 1) says how early it leaves a touch that is about to give way.
    """

    came: int
    goes: int
    size: int
    shy: float


def mixed(key: int, *parts: int) -> int:
    """Return 64 well-mixed bits of a key and some whole numbers (after Steele et al., 2014)."""
    state = key & _MASK
    for part in parts:
        state = (state + (part + 1) * 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class Flow:
    """The limit orders of one instrument's background through one session.

    `typical` is the usual size of one order in shares.
    """

    def __init__(self, key: int, typical: float) -> None:
        self._key = key
        self._typical = typical
        self._levels: dict[int, tuple[int, int, list[Resting]]] = {}
        self._phases: dict[int, list[tuple[int, int, int]]] = {}

    def queue(self, bid: bool, price: int, at: int) -> list[Resting]:
        """Return who rests at a price at `at` (microseconds since the open), oldest first."""
        name = price * 2 + bid
        found = self._levels.get(name)
        if found is None or not found[0] <= at < found[1]:
            found = self._drawn(name, at)
            if len(self._levels) > 4096:
                self._levels.clear()
            self._levels[name] = found
        return found[2]

    def _drawn(self, name: int, at: int) -> tuple[int, int, list[Resting]]:
        """Return the orders alive at `at`, and the stretch of time in which they are the same."""
        since, until = -(1 << 62), 1 << 62
        orders: list[Resting] = []
        for stem, life, phase in self._slots(name):
            turn, place = divmod(at + phase, life)
            bits = mixed(stem, turn)
            started = at - place
            if life == STANDING * SECOND:
                came, goes = started, started + life
            else:
                came = started + (life * (bits & 0xFFFF) * 9 // 20 >> 16)
                goes = started + (life * (_WORD + (bits >> 16 & 0xFFFF)) >> 17)
            if at < came:
                since, until = max(since, started), min(until, came)
            elif at >= goes:
                since, until = max(since, goes), min(until, started + life)
            else:
                since, until = max(since, came), min(until, goes)
                size = self._typical * _SIZES[bits >> 32 & 31] * (0.85 + (bits >> 37 & 255) / 850)
                lots = max(round(size / 100.0), 1) * 100
                shy = 0.0 if life == STANDING * SECOND else (bits >> 48) / _WORD
                orders.append(Resting(came, goes, lots, shy))
        orders.sort()
        return since, until, orders

    def _slots(self, name: int) -> list[tuple[int, int, int]]:
        found = self._phases.get(name)
        if found is None:
            found = []
            for slot, seconds in enumerate((*LIVES, STANDING)):
                stem = mixed(self._key, name, slot)
                found.append((stem, seconds * SECOND, stem % (seconds * SECOND)))
            if len(self._phases) > 8192:
                self._phases.clear()
            self._phases[name] = found
        return found


def split(total: int, bits: int) -> list[int]:
    """Split the shares of one second into up to four trades, most of them in round lots."""
    count = min(1 + (bits & 3), max(total // 100, 1))
    if total <= 0:
        return []
    parts: list[int] = []
    for place in range(count - 1):
        share = total * (1 + (bits >> (2 + 6 * place) & 63)) // (64 * (count - place))
        part = max(share // 100 * 100, 100)
        if part >= total:
            break
        parts.append(part)
        total -= part
    return [*parts, total]


def moments(count: int, bits: int) -> list[int]:
    """Return `count` rising moments inside one second, in microseconds."""
    drawn = sorted((mixed(bits, place) % SECOND) for place in range(count))
    return [moment + place for place, moment in enumerate(drawn)]


def upto(stamps: list[int], at: int) -> int:
    """Return how many of some rising stamps are not after `at`."""
    return bisect_right(stamps, at)
