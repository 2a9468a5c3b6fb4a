"""What the send-time checks must remember of a session: good prices, refusals, what is disabled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.risk.quotes import PriceReference, after_quote, is_usable
from models.risk.throttle import DISABLING
from tasks.books.day_trading import day_trades

if TYPE_CHECKING:
    from models.domain.orders import ChildOrder, Quote
    from models.domain.sessions import TradingSession
    from models.execution.state import ParentExecution
    from models.risk.context import SendContext
    from models.risk.limits import RiskLimits
    from models.risk.verdict import Verdict
    from tasks.session.account import AccountBook
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.disablements import Kind
    from warehouse.ledger.symbol_facts import SymbolFacts

logger = logging.getLogger("robo.risk")


def nothing_told(_symbol: str) -> int | None:
    """Say that nobody has told how many shares may be borrowed."""
    return None


@dataclass(slots=True)
class SendGuard:
    """The memory behind a session's send-time checks.

    `limits_version` is the version in the ledger; `shortable` returns the shares of a symbol that
    may be borrowed. A symbol's first quote of the day is held against the close that the plan
    noted; without one, the first usable quote starts. `unseen_day_trades` are those that the broker
    counts beyond the ledger's.
    """

    ledger: OrderLedger
    book: AccountBook
    limits: RiskLimits
    session: TradingSession
    limits_version: int | None = None
    shortable: Callable[[str], int | None] = nothing_told
    facts: Mapping[str, SymbolFacts] = field(default_factory=dict)
    unseen_day_trades: int = 0
    _references: dict[str, PriceReference] = field(default_factory=dict)
    _disabled: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = self.ledger.facts.before(self.session.date)
        self.refresh()

    def refresh(self) -> None:
        """Read what is disabled now; a person may have changed it since."""
        self._disabled = {
            (one.kind, one.name): f"{one.name} is disabled since {one.at:%H:%M} UTC: {one.reason}"
            for one in self.ledger.disablements.current()
        }

    def observe(self, quote: Quote | None) -> PriceReference | None:
        """Take a quote into account and return what was believed before it."""
        if quote is None:
            return None
        before = self._references.get(quote.symbol) or self._first(quote)
        if before is not None:
            self._references[quote.symbol] = after_quote(before, quote, self.limits)
        return before

    def with_reference(self, context: SendContext, quote: Quote | None) -> SendContext:
        """Return the context with the last good price that the quote is held against."""
        return replace(context, reference=self.observe(quote))

    def complete(
        self,
        context: SendContext,
        child: ChildOrder,
        quote: Quote | None,
        executions: Mapping[str, ParentExecution],
    ) -> SendContext:
        """Return the context with what this guard knows of the child's symbol and strategy."""
        strategy = executions[child.parent_id].parent.strategy
        disabled = self._disabled
        day = self.session.date
        rejects = by_strategy = 0
        for execution in executions.values():
            refused = execution.rejects
            rejects += refused if execution.parent.symbol == child.symbol else 0
            by_strategy += refused if execution.parent.strategy == strategy else 0
        book = self.book
        short = self.shortable(child.symbol) if self.limits.allow_short else None
        adv = None if child.symbol not in self.facts else self.facts[child.symbol].adv
        times = forgiven = of_strategy = 0
        if rejects or by_strategy or child.attempt > self.limits.max_attempts:
            forgiveness = self.ledger.disablements.forgiveness
            times, forgiven = forgiveness("symbol", child.symbol, day)
            of_strategy = forgiveness("strategy", strategy, day)[1]
        return replace(
            context,
            reference=self.observe(quote),
            disabled=disabled.get(("symbol", child.symbol)) or disabled.get(("strategy", strategy)),
            rejects=max(rejects - forgiven, 0),
            strategy_rejects=max(by_strategy - of_strategy, 0),
            times_enabled=times,
            shortable={} if short is None else {child.symbol: short},
            day_trades=day_trades(
                self.ledger,
                book.account,
                book.positions,
                context.equity,
                day,
                limits=self.limits,
                unseen=self.unseen_day_trades,
            ),
            adv={} if adv is None else {child.symbol: adv},
        )

    def after_denial(
        self, child: ChildOrder, strategy: str, verdicts: Iterable[Verdict]
    ) -> tuple[str, str] | None:
        """Disable what has gone wrong too often; return subject and text of the alert, if so."""
        wrong = [v for v in verdicts if not v.passed and v.check in DISABLING]
        if not wrong:
            return None
        kind: Kind = "strategy" if wrong[0].check == "strategy_rejects" else "symbol"
        name = strategy if kind == "strategy" else child.symbol
        done = self.ledger.disablements.disable(
            kind,
            name,
            reason=wrong[0].reason,
            by="the repeated-execution throttle",
            at=datetime.now(UTC),
            session=self.session.date,
        )
        self.refresh()
        text = (
            f"{wrong[0].reason}; no order of it is sent until a person has looked and enables it: "
            f"`robo limits enable {name} --reason ...`"
        )
        return (f"{kind} {name} disabled", text) if done else None

    def _first(self, quote: Quote) -> PriceReference | None:
        known = self.facts.get(quote.symbol)
        if known is not None:
            return PriceReference(known.close, self.session.open, is_decision=True)
        return PriceReference(quote.mid, quote.at) if is_usable(quote) else None
