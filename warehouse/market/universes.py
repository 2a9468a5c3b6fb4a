"""Universes: which instruments belonged to one on a date, so that the dead are not forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

from models.domain.errors import InvalidInput
from models.domain.instruments import Membership
from warehouse.market.as_of import VersionedTable
from warehouse.market.connection import MarketStore, utc_naive
from warehouse.market.selection import known_then
from warehouse.market.staging import stage

MEMBERS = VersionedTable("universe_members", ("universe", "symbol", "valid_from"), ("valid_to",))


class Universes:
    """The universes of the warehouse."""

    def __init__(self, store: MarketStore) -> None:
        self._store = store

    def set_members(self, members: Sequence[Membership], source: str, known_at: datetime) -> int:
        """Keep the universes named, in the place of all that was known of them; return changes.

        What was known before stays readable with `as_of`. Raises InvalidInput for an empty
        interval or two that overlap.
        """
        _require_apart(members)
        staged = stage(
            {
                "universe": ("text", [item.universe for item in members]),
                "symbol": ("text", [item.symbol for item in members]),
                "valid_from": ("date", [item.valid_from for item in members]),
                "valid_to": ("date", [item.valid_to for item in members]),
            }
        )
        named = sorted({item.universe for item in members})
        moment = utc_naive(known_at)
        with self._store.write() as connection:
            gone = MEMBERS.withdraw_others(connection, staged, ("universe", named), moment)
            merged = MEMBERS.merge(connection, staged, source, moment)
        return gone + merged.added + merged.changed

    def members(self, universe: str, day: date, as_of: datetime | None = None) -> tuple[str, ...]:
        """Return who belonged to the universe on `day`, as known at `as_of` (UTC; None: now)."""
        spans = self.memberships(universe, as_of)
        return tuple(item.symbol for item in spans if item.valid_from <= day < item.valid_to)

    def ever(
        self, universe: str, first: date, last: date, as_of: datetime | None = None
    ) -> tuple[str, ...]:
        """Return who belonged to it on any day of [first, last], the delisted among them."""
        spans = self.memberships(universe, as_of)
        within = {s.symbol for s in spans if s.valid_from <= last and first < s.valid_to}
        return tuple(sorted(within))

    def memberships(self, universe: str, as_of: datetime | None = None) -> tuple[Membership, ...]:
        """Return the intervals of a universe by symbol; raise InvalidInput when it is unknown."""
        query = (
            "SELECT universe, symbol, valid_from, valid_to "  # noqa: S608 - names are ours
            f"FROM ({MEMBERS.known(as_of)}) WHERE universe = $universe ORDER BY symbol, valid_from"
        )
        wanted = {"universe": universe} | known_then(as_of)
        with self._store.read() as connection:
            rows = connection.execute(query, wanted).fetchall()
        if not rows:
            when = "" if as_of is None else f" at {as_of}"
            raise InvalidInput(
                f"no universe {universe} is known{when}; import one with robo ingest universe FILE"
            )
        return tuple(Membership(*row) for row in rows)


def _require_apart(members: Sequence[Membership]) -> None:
    found = sorted(members, key=lambda item: (item.universe, item.symbol, item.valid_from))
    for item in found:
        if item.valid_from >= item.valid_to:
            raise InvalidInput(
                f"{item.symbol} leaves {item.universe} on {item.valid_to}, not after it joins on "
                f"{item.valid_from}; valid_to is the first date on which it did not belong"
            )
    for one, two in pairwise(found):
        same = (one.universe, one.symbol) == (two.universe, two.symbol)
        if same and two.valid_from < one.valid_to:
            raise InvalidInput(
                f"{one.symbol} belongs to {one.universe} twice on {two.valid_from}; let its first "
                "interval end by then"
            )
