"""The chain behind an order or a fill as text for people: no number without its unit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from flows.ledger_text import usd

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.books.check_record import CheckStep
    from tasks.books.execution_report import ParentReport
    from tasks.books.explain import ChildStep, Explanation, FillStep
    from warehouse.ledger.events import EventRecord


def explanation_lines(found: Explanation) -> list[str]:
    """Return the chain from the model down to the cost, one fact a line."""
    lines = [f"{found.asked} is {_article(found)}"]
    lines += _decision(found)
    if found.parent is not None:
        lines += _parent(found.parent)
    if found.checks:
        lines += ["checks of the parent", *map(_check, found.checks)]
    if found.parent is not None and not found.children:
        lines.append("children    none: nothing was sent")
    for child in found.children:
        lines += _child(child)
    for fill in found.fills:
        lines += _fill(fill)
    if found.parent is not None:
        lines += _cost(found.parent)
    return lines + [f"note: {note}" for note in found.notes]


def _article(found: Explanation) -> str:
    if found.external:
        return "an execution of an order that this system did not place"
    return {"parent": "a parent order", "child": "a child order"}.get(found.kind, "an execution")


def _decision(found: Explanation) -> list[str]:
    lines: list[str] = []
    if found.model is not None:
        model = found.model
        lines.append(
            f"model       {model.model} version {model.version}, MLflow run {model.run_id}, "
            f"promoted {_moment(model.recorded_at)}"
        )
        lines += [f"            {name} SHA-256 {digest}" for name, digest in model.files.items()]
    if found.signal is not None:
        signal = found.signal
        lines.append(
            f"signal      score {signal.score:+.6f} (forecast rank, no unit), number {signal.rank} "
            f"of {signal.scored} symbols at the closes of {signal.session}"
        )
    if found.target is not None:
        target = found.target
        lines.append(
            f"target      {target.weight:.2%} of equity, {target.shares:,} shares at "
            f"{target.price.normalize():f} USD, decided {_moment(target.at)}"
        )
    return lines


def _parent(report: ParentReport) -> list[str]:
    order = report.order
    limit = "" if order.limit_price is None else f", limit {order.limit_price} USD"
    reason = f": {report.reason}" if report.reason else ""
    return [
        f"parent      {order.parent_id}: {order.side} {order.quantity:,} shares {order.symbol}"
        f"{limit}, {order.algo} of {order.strategy}",
        f"            decided {_moment(order.decided_at)} by {order.model_version} "
        f"at {order.decision_price} USD",
        f"            from {_moment(order.start)} to {_moment(order.end)}",
        f"            {report.state}, {report.filled:,} shares filled{reason}",
    ]


def _check(check: CheckStep) -> str:
    verdict = "passed" if check.passed else "DENIED"
    return f"  {verdict}    {_moment(check.at)} {check.check}: {check.reason}"


def _child(child: ChildStep) -> list[str]:
    order = child.order
    limit = "market" if order.limit_price is None else f"limit {order.limit_price} USD"
    sent = "not sent" if order.sent_at is None else f"sent {_moment(order.sent_at)}"
    perm = "none yet" if order.perm_id is None else str(order.perm_id)
    reason = f" ({order.reason})" if order.reason else ""
    return [
        f"child       {order.order_ref}: {order.quantity:,} shares, {limit}, {order.tif}, "
        f"{order.state}{reason}, {order.executed:,} shares executed",
        f"            intent {_moment(order.committed_at)}, {sent}; account {order.account}, "
        f"client id {order.client_id}, order id {order.order_id}, permId {perm}",
        *map(_check, child.checks),
        *map(_message, child.messages),
        *(line for fill in child.fills for line in _fill(fill)),
    ]


def _message(event: EventRecord) -> str:
    told = event.payload
    if event.kind == "order_status":
        held = f", held: {told['why_held']}" if told.get("why_held") else ""
        text = (
            f"{told['status']}, {told['filled']:,} shares filled, {told['remaining']:,} shares "
            f"remaining, order id {told['order_id']}, permId {told['perm_id']}{held}"
        )
    elif event.kind == "notice":
        text = f"code {told['code']}: {told['text']}"
    else:
        text = ", ".join(f"{name} {value}" for name, value in told.items())
    return f"  message   {_moment(event.at)} {event.kind}: {text}"


def _fill(fill: FillStep) -> list[str]:
    done = fill.execution
    told = "not reported" if done.commission is None else f"{done.commission} {done.currency}"
    line = (
        f"  fill      {_moment(done.at)} {done.exec_id}: {done.side} {done.quantity:,} shares "
        f"{done.symbol} at {done.price} USD, commission {told}, permId {done.perm_id}"
    )
    if done.superseded:
        return [f"{line}; superseded by a correction"]
    if not done.quantity:
        return [f"{line}; busted"]
    if fill.cost_usd is None or fill.cost_bps is None:
        return [line]
    cost = f"            against arrival {_signed(fill.cost_usd)} USD, {_signed(fill.cost_bps)} bps"
    return [line, cost]


def _cost(report: ParentReport) -> list[str]:
    if report.arrival_price is None:
        return []
    lines = [f"arrival     mid {report.arrival_price} USD"]
    if report.average_price is not None:
        move = report.order.side.sign * (report.average_price - report.arrival_price)
        bps = move / report.arrival_price * 10_000
        lines.append(
            f"cost        {report.filled:,} shares at {report.average_price:.4f} USD on average: "
            f"{_signed(move * report.filled)} USD, {_signed(bps)} bps against arrival; "
            f"commission {usd(report.commission)}"
        )
    if report.shortfall is not None and report.shortfall.total is not None:
        total, bps = report.shortfall.total, report.shortfall.total_bps or Decimal(0)
        lines.append(
            f"shortfall   {_signed(total)} USD, {_signed(bps)} bps of the decision's value, "
            "commission and what was not filled included"
        )
    return lines


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
