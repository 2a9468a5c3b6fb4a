"""Ask the broker, before a parent is accepted, what it would need (what-if); nothing is placed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from models.domain.orders import ChildOrder
from models.risk.margin import MarginImpact, check_margin
from models.risk.verdict import all_passed
from tasks.broker.roles import Role
from tasks.leases.client_ids import leased_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.domain.orders import ParentOrder
    from models.risk.limits import RiskLimits
    from models.risk.verdict import Verdict
    from tasks.broker.protocol import ApiAddress
    from tasks.planning.portfolio import RebalancePlan
    from tasks.settings import Settings


def with_margin(plan: RebalancePlan, limits: RiskLimits, settings: Settings) -> RebalancePlan:
    """Return the plan with a margin verdict on each order that passed every other check.

    A cash account that may not short is not asked about: no order of it borrows. Blocking; raises
    GatewayUnreachable when no gateway answers.
    """
    if not limits.asks_for_margin or not plan.accepted:
        return plan
    with leased_address(settings, Role.SNAPSHOT) as where:
        answers = asyncio.run(_ask(settings, plan.accepted, where))
    return replace(plan, verdicts=margin_verdicts(plan, answers, limits))


def margin_verdicts(
    plan: RebalancePlan, answers: Mapping[str, MarginImpact | str], limits: RiskLimits
) -> dict[str, tuple[Verdict, ...]]:
    """Return all verdicts of a plan with those on margin added, in the order of its parents."""
    verdicts = dict(plan.verdicts)
    pending = 0.0
    for parent in plan.parents:
        if not all_passed(verdicts[parent.parent_id]):
            continue
        answer = answers.get(parent.parent_id, "it was not asked")
        verdict, pending = check_margin(answer, pending, limits)
        verdicts[parent.parent_id] = (*verdicts[parent.parent_id], verdict)
    return verdicts


async def _ask(
    settings: Settings, parents: Sequence[ParentOrder], where: ApiAddress
) -> dict[str, MarginImpact | str]:
    from tasks.broker.ibkr import OrderConnection

    link = await OrderConnection.open(where, settings.broker_timeout)
    try:
        settings.require_tradable(link.account)
        await link.qualify(sorted({parent.symbol for parent in parents}))
        answers: dict[str, MarginImpact | str] = {}
        for parent in parents:
            try:
                answers[parent.parent_id] = await link.what_if(_whole(parent))
            except RoboError as error:
                answers[parent.parent_id] = str(error)
        return answers
    finally:
        await link.close()


def _whole(parent: ParentOrder) -> ChildOrder:
    return ChildOrder(
        parent_id=parent.parent_id,
        slice_no=0,
        attempt=0,
        symbol=parent.symbol,
        side=parent.side,
        quantity=parent.quantity,
        limit_price=parent.limit_price,
        tif="DAY",
    )
