"""What the send-time checks must know of the account and the session, as the desk sees them now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.execution.exposure import working_shares
from models.risk.context import SendContext

if TYPE_CHECKING:
    from datetime import datetime

    from models.execution.state import ParentExecution
    from tasks.session.orders import OrderDesk


def send_context(
    desk: OrderDesk, before: ParentExecution, symbol: str, recent_sends: tuple[datetime, ...]
) -> SendContext:
    """Return account and session now, for an order of `symbol`; `before` stands for its parent."""
    book = desk.book
    obstacles = desk.ledger.obstacles.to(book.account, symbol)
    others = desk.everything | {before.parent.parent_id: before}
    buying, selling = working_shares(others.values())
    quotes = {s: desk.quote(s) for s in {*book.positions, *buying, *selling}}
    return SendContext(
        halt_reason=obstacles.halt,
        session=desk.session,
        parent_remaining=before.unallocated,
        positions=book.positions,
        equity=book.equity(quotes.get),
        day_start_equity=book.day_start_equity,
        peak_equity=book.peak_equity,
        recent_sends=recent_sends,
        buying=buying,
        selling=selling,
        mids={s: float(q.mid) for s, q in quotes.items() if q is not None and q.is_sane},
        blocked_reason=obstacles.block,
    )
