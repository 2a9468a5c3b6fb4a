"""What was looked up of contracts and their market rules: kept while connections come and go.

Asked for once in the life of a book, whatever connection asks, and again only when the broker has
put it in doubt or somebody wants to know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from models.domain.market_rules import REG_NMS, MarketRule, PriceBand

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """One contract: `rule_id` names its market rule at `exchange`, 0 when none was told.

    `min_tick` is the smallest increment (USD) that it trades in anywhere.
    """

    con_id: int
    symbol: str
    exchange: str
    rule_id: int
    min_tick: Decimal


@dataclass(slots=True)
class ContractBook:
    """Contracts by their id, and market rules by theirs, for every connection of a process."""

    _contracts: dict[int, ContractFacts] = field(default_factory=dict[int, ContractFacts])
    _ids: dict[str, int] = field(default_factory=dict[str, int])
    _rules: dict[int, MarketRule] = field(default_factory=dict[int, MarketRule])

    def get(self, symbol: str) -> ContractFacts | None:
        """Return what is known of a symbol's contract."""
        return self._contracts.get(self._ids.get(symbol, 0))

    def put(self, facts: ContractFacts) -> None:
        """Keep what the broker told of a contract; a symbol that moved to another id follows."""
        self._contracts[facts.con_id] = facts
        self._ids[facts.symbol] = facts.con_id

    def put_rule(self, rule_id: int, rule: MarketRule) -> None:
        """Keep a market rule."""
        self._rules[rule_id] = rule

    def forget(self, symbols: Iterable[str]) -> None:
        """Drop contracts and their rules, so that the next use looks them up anew."""
        for symbol in symbols:
            facts = self._contracts.pop(self._ids.pop(symbol, 0), None)
            if facts is not None:
                self._rules.pop(facts.rule_id, None)

    def missing_rules(self, symbols: Iterable[str]) -> list[int]:
        """Return the ids of the rules that contracts of `symbols` name and that are not known."""
        named = {facts.rule_id for facts in map(self.get, symbols) if facts is not None}
        return sorted(named - self._rules.keys() - {0})

    def rule_of(self, symbol: str) -> MarketRule:
        """Return the increments of a symbol: its market rule, else its smallest tick throughout.

        Regulation NMS for what is not known at all.
        """
        facts = self.get(symbol)
        if facts is None:
            return REG_NMS
        known = self._rules.get(facts.rule_id)
        if known is not None:
            return known
        if facts.min_tick > 0:
            return MarketRule((PriceBand(Decimal(0), facts.min_tick),))
        return REG_NMS
