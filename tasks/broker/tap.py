"""Where messages are tapped: each one goes to the evidence log before the client interprets it."""

# ruff: noqa: N802, N803, D102 -- methods that the client calls by name

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.broker import conversion

if TYPE_CHECKING:
    from tasks.broker.evidence import EvidenceLog


class EvidenceTap:
    """The order messages of a client's wrapper, in front of the wrapper that it is mixed into."""

    log: EvidenceLog

    def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
        with self._noting(f"open order {order.permId}"):
            if not order.whatIf:
                self.log.open_order(conversion.status_of_open(contract, order, orderState.status))
        self._behind("openOrder")(orderId, contract, order, orderState)

    def completedOrder(self, contract: Any, order: Any, orderState: Any) -> None:
        with self._noting(f"completed order {order.permId}"):
            found = conversion.status_of_completed(contract, order, orderState.status)
            self.log.completed_order(found)
        self._behind("completedOrder")(contract, order, orderState)

    def orderStatus(self, *message: Any) -> None:
        with self._noting(f"status of order id {message[0]}"):
            self.log.order_status(conversion.status_of_message(*message))
        self._behind("orderStatus")(*message)

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        with self._noting(f"execution {execution.execId}"):
            self.log.fill(conversion.fill_of(contract, execution))
        self._behind("execDetails")(reqId, contract, execution)

    def commissionReport(self, commissionReport: Any) -> None:
        with self._noting(f"commission of {commissionReport.execId}"):
            told = conversion.commission_of(commissionReport)
            if told is not None:
                self.log.commission(told)
        self._behind("commissionReport")(commissionReport)

    def _behind(self, name: str) -> Any:
        return getattr(super(), name)

    @contextmanager
    def _noting(self, what: str) -> Generator[None, None, None]:
        """Remember a message that cannot be read: the client would only log what is raised here."""
        try:
            yield
        except Exception as error:
            self.log.refuse(f"{what}: {error}")
