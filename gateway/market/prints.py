"""How the volume of one second is cut into trades, before any client has moved their prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.market.flow import mixed, moments, split

if TYPE_CHECKING:
    from gateway.market.seconds import SecondPath

KEPT = 64  # seconds whose trades are kept


class Print(NamedTuple):
    """One trade: microseconds into its second, shares, and whether a buyer began it."""

    offset: int
    size: int
    buy: bool


class Prints:
    """The trades of one session, second by second; a function of the path alone.

    The few last seconds that were asked for are kept: whoever follows the tape asks for each twice,
    once as the present second and once as the one before.
    """

    def __init__(self, path: SecondPath) -> None:
        self._key = path.flow_key
        self._volume = path.volume.data
        self._sold = path.sold.data
        self._kept: dict[int, list[Print]] = {}

    def second(self, second: int) -> list[Print]:
        """Return the trades of the second that begins at `second`, in order; not to be changed."""
        found = self._kept.get(second)
        if found is None:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[second] = self._cut(second)
        return found

    def _cut(self, second: int) -> list[Print]:
        volume, sold = self._volume[second + 1], self._sold[second + 1]
        if volume <= 0:
            return []
        bits = mixed(self._key, second, 77)
        parts = [(size, False) for size in split(sold, bits)]
        parts += [(size, True) for size in split(volume - sold, bits >> 24)]
        if bits >> 60 & 1:
            parts.reverse()
        offsets = moments(len(parts), bits)
        made = tuple.__new__  # a third of the time that `Print(...)` takes
        return [made(Print, (o, size, buy)) for o, (size, buy) in zip(offsets, parts, strict=True)]
