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
MOST_LEVELS = 4096  # prices of one instrument that are kept
STANDING = 25  # seconds of a turn of the slot that is never empty
_LIVES = (*LIVES, STANDING)
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
        state = _stirred(state, part)
    return state


def _stirred(state: int, part: int) -> int:
    """Return 64 bits into which one more number is mixed; the step that `mixed` repeats."""
    state = (state + (part + 1) * 0x9E3779B97F4A7C15) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


class _Slot:
    """One slot of a price: its stream, its turns, and what is in it during [since, until).

    `size` is the shares of the order that is here from `since` to `until`, 0 when nobody is.
    """

    __slots__ = ("life", "phase", "shy", "since", "size", "standing", "stem", "until")

    def __init__(self, stem: int, seconds: int) -> None:
        self.stem = stem
        self.life = seconds * SECOND
        self.phase = stem % self.life
        self.standing = seconds == STANDING
        self.since = self.until = self.size = 0
        self.shy = 0.0

    def turn(self, at: int, typical: float) -> None:
        """Draw who is here at a moment, and for how long that holds."""
        life = self.life
        number, place = divmod(at + self.phase, life)
        # `_stirred(self.stem, number)`, written out: this is the hottest line of the gateway
        bits = (self.stem + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
        bits ^= bits >> 31
        started = at - place
        if self.standing:
            came, goes, self.shy = started, started + life, 0.0
        else:
            came = started + (life * (bits & 0xFFFF) * 9 // 20 >> 16)
            if at < came:
                self.since, self.until, self.size = started, came, 0
                return
            goes = started + (life * (_WORD + (bits >> 16 & 0xFFFF)) >> 17)
            if at >= goes:
                self.since, self.until, self.size = goes, started + life, 0
                return
            self.shy = (bits >> 48) / _WORD
        size = typical * _SIZES[bits >> 32 & 31] * (0.85 + (bits >> 37 & 255) / 850)
        lots = round(size / 100.0)
        self.since, self.until = came, goes
        self.size = lots * 100 if lots > 1 else 100


class _Level:
    """One price of one side: [since, until) is how long all its slots stay as they are."""

    __slots__ = ("shares", "since", "slots", "until")

    def __init__(self, key: int, name: int) -> None:
        stem = mixed(key, name)
        self.slots = [_Slot(_stirred(stem, place), seconds) for place, seconds in enumerate(_LIVES)]
        self.since = self.until = self.shares = 0

    def look(self, at: int, typical: float) -> None:
        """Bring the slots whose time has come to a moment, and count who rests."""
        since, until, shares = -(1 << 62), 1 << 62, 0
        for slot in self.slots:
            if not slot.since <= at < slot.until:
                slot.turn(at, typical)
            if slot.since > since:  # noqa: PLR1730 - three times as fast as max
                since = slot.since
            if slot.until < until:  # noqa: PLR1730
                until = slot.until
            shares += slot.size
        self.since, self.until, self.shares = since, until, shares


class Flow:
    """The limit orders of one instrument's background through one session.

    `typical` is the usual size of one order in shares.
    """

    def __init__(self, key: int, typical: float) -> None:
        self._key = key
        self._typical = typical
        self._levels: dict[int, _Level] = {}

    def queue(self, bid: bool, price: int, at: int) -> list[Resting]:
        """Return who rests at a price at `at` (microseconds since the open), oldest first."""
        slots = self._level(bid, price, at).slots
        return sorted(Resting(s.since, s.until, s.size, s.shy) for s in slots if s.size)

    def shares(self, bid: bool, price: int, at: int) -> int:
        """Return how many shares rest at a price at `at` (microseconds since the open)."""
        return self._level(bid, price, at).shares

    def bold(self, bid: bool, price: int, at: int, most: float) -> int:
        """Return the shares at a price of the orders that are at most so shy."""
        shares = 0
        for slot in self._level(bid, price, at).slots:
            if slot.shy <= most:
                shares += slot.size
        return shares

    def _level(self, bid: bool, price: int, at: int) -> _Level:
        name = price * 2 + bid
        level = self._levels.get(name)
        if level is None:
            if len(self._levels) >= MOST_LEVELS:
                self._levels.clear()
            level = self._levels[name] = _Level(self._key, name)
        if not level.since <= at < level.until:
            level.look(at, self._typical)
        return level


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
    if count == 1:
        return [_stirred(bits, 0) % SECOND]
    drawn = sorted([_stirred(bits, place) % SECOND for place in range(count)])
    return [moment + place for place, moment in enumerate(drawn)]


def upto(stamps: list[int], at: int) -> int:
    """Return how many of some rising stamps are not after `at`."""
    return bisect_right(stamps, at)
