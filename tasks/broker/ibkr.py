"""Interactive Brokers through ib_async: the only module that imports it.

ib_async's own order objects lose evidence (a commission that comes before its execution, an
execution correction, the state of an order after a harmless error code), so `EvidenceWrapper`
takes each message as it is decoded, before that logic, and passes it on in domain types.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ib_async import IB, Contract, Order, RequestError, StartupFetch, Stock
from ib_async.client import Client
from ib_async.wrapper import Wrapper

from models.domain.errors import HaltTrading, InvalidInput
from tasks.broker import conversion
from tasks.broker.client_log import take_client_log
from tasks.broker.codes import PORT_CHANGED
from tasks.broker.connecting import ClientIdInUse, SocketGuard, connect
from tasks.broker.contracts import ContractBook, ContractFacts
from tasks.broker.evidence import EvidenceLog
from tasks.broker.pacing import NO_LIMIT, Urgency, room
from tasks.broker.protocol import (
    ApiAddress,
    BrokerEvent,
    ClientIdTaken,
    Evidence,
    GatewayUnreachable,
)
from tasks.broker.refusals import NO_SECURITY, RequestRefused, refusal
from tasks.broker.tap import EvidenceTap
from tasks.broker.tick_tap import TickTap
from tasks.broker.wire_text import message_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ib_async import AccountValue

    from models.domain.market_rules import MarketRule
    from models.domain.orders import ChildOrder
    from models.risk.margin import MarginImpact

CLIENT_ID_IN_USE = 326
CLIENT_ID_ATTEMPTS = 4
ID_IN_USE_WAIT = 0.5  # wall seconds, times the attempts so far
PLACE, CANCEL, CANCEL_ALL = "3\0", "4\0", "58\0"  # placeOrder, cancelOrder, reqGlobalCancel
SUMMARY_TAGS = "TotalCashValue,NetLiquidation"

Answer = TypeVar("Answer")

take_client_log()


class EvidenceWrapper(EvidenceTap, TickTap, Wrapper):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Note every order message in an evidence log before ib_async interprets it."""

    def __init__(self, ib: IB, log: EvidenceLog) -> None:
        super().__init__(ib)
        self.log = log


class PacedClient(Client):
    """ib_async's client, which sends 45 messages a second; here a cancel overtakes what waits.

    It does not overtake the order that it is for: a cancel of what has not arrived ends nothing.
    """

    def send(self, *fields: Any, makeEmpty: bool = True) -> None:
        """Send one message of these fields; in its text an unset number is empty, if so asked."""
        if not makeEmpty or not self.isConnected():
            super().send(*fields, makeEmpty=makeEmpty)
        else:
            self.sendMsg(message_text(fields, Contract))

    def sendMsg(self, msg: str | None) -> None:
        """Send or queue one message; None sends what may go by now."""
        if msg and self._msgQ and msg.startswith((CANCEL, CANCEL_ALL)):
            self._put_forward(msg)
            msg = None
        super().sendMsg(msg)  # pyright: ignore[reportArgumentType] - it calls itself with None

    def _put_forward(self, cancel: str) -> None:
        waiting, ends_all = self._msgQ, cancel.startswith(CANCEL_ALL)
        order_id = "" if ends_all else cancel.split("\0")[2]
        behind = 0
        for place, message in enumerate(waiting, 1):
            if message.startswith(PLACE) and (ends_all or message.split("\0")[1] == order_id):
                behind = place
        waiting.insert(behind, cancel)
        if ends_all and behind:
            waiting.appendleft(cancel)  # what is at the gateway already ends at once

    @property
    def used(self) -> int:
        """Messages of the last second, and those that still wait."""
        since = asyncio.get_running_loop().time() - self.RequestsInterval
        return sum(at >= since for at in self._timeQ) + len(self._msgQ)


class EvidenceIB(IB):
    """An ib_async connection that also keeps every piece of order evidence in `log`."""

    RaiseRequestErrors = True

    def __init__(self) -> None:
        super().__init__()
        self.log = EvidenceLog()
        self.wrapper = EvidenceWrapper(self, self.log)
        self.client: PacedClient = PacedClient(self.wrapper)
        self.client.apiEnd += self.disconnectedEvent
        self.id_in_use = asyncio.Event()
        self.errorEvent += self._saw_error
        self.disconnectedEvent += self.log.disconnected

    def _saw_error(self, request_id: int, code: int, text: str, _contract: Any) -> None:
        if code == CLIENT_ID_IN_USE:
            self.id_in_use.set()
        if code == PORT_CHANGED:
            self.log.disconnected("the gateway has changed its port (code 1300)")
        self.log.notice(self.client.clientId, request_id, code, text)


class Connection:
    """One API connection with a deadline on every call.

    Raises GatewayUnreachable when the gateway does not answer in `timeout` seconds, ClientIdTaken
    when the client id stays in use, InvalidInput for a symbol that the broker does not know.
    """

    def __init__(
        self,
        ib: EvidenceIB,
        where: str,
        timeout: float,
        heartbeat: float | None = None,
        book: ContractBook | None = None,
    ) -> None:
        self._ib = ib
        self._where = where
        self._connected = SocketGuard(where)
        self._timeout = timeout
        self._heartbeat = min(heartbeat or timeout, timeout)
        self._book = book if book is not None else ContractBook()
        self._contracts: dict[str, Contract] = {}

    @classmethod
    async def open(
        cls,
        address: ApiAddress,
        timeout: float,
        heartbeat: float | None = None,
        book: ContractBook | None = None,
    ) -> Self:
        """Connect, retrying a client id that is still in use by a connection just closed.

        `timeout` and `heartbeat` (that of `flush`; None: the same) are wall seconds. `book` keeps
        contracts beyond this connection.
        """
        for attempt in range(CLIENT_ID_ATTEMPTS):
            ib = EvidenceIB()
            try:
                await connect(ib, address, timeout, StartupFetch(0))
            except ClientIdInUse:
                await asyncio.sleep(ID_IN_USE_WAIT * attempt)
                continue
            return cls(ib, f"{address.host}:{address.port}", timeout, heartbeat, book)
        raise ClientIdTaken(
            f"client id {address.client_id} is in use at the gateway on {address.host}:"
            f"{address.port}: another session of this system, or another program, is connected "
            "with it; stop that one, or set ROBO_CLIENT_ID and ROBO_DATA_CLIENT_ID to free ids"
        )

    @property
    def account(self) -> str:
        """The account that the broker reports; more than one is refused, since none is chosen."""
        with self._connected:
            accounts = self._ib.client.getAccounts()
        if len(accounts) != 1:
            raise InvalidInput(
                f"the gateway manages {len(accounts)} accounts; this system trades one: log in "
                "with a user of one account"
            )
        return accounts[0]

    @property
    def client_id(self) -> int:
        """The API client id of this connection."""
        return self._ib.client.clientId

    async def qualify(self, symbols: Sequence[str], *, refresh: bool = False) -> None:
        """Look up the contracts of `symbols` that are not known, with `refresh` all of them.

        InvalidInput names every one that the broker does not know.
        """
        if refresh:
            self._book.forget(symbols)
        unknown: list[str] = []
        for symbol in symbols:
            facts = self._book.get(symbol) or await self._looked_up(symbol)
            if facts is None:
                unknown.append(symbol)
            else:
                self._contracts[symbol] = Stock(symbol, "SMART", "USD", conId=facts.con_id)
        if unknown:
            raise InvalidInput(
                f"the broker knows no US stock {', '.join(unknown)}: write it as the broker does"
            )

    async def flush(self) -> datetime:
        """Return the gateway's time (UTC) once all it sent before has been received.

        It is the heartbeat, too: a gateway that is silent for that long counts as unreachable.
        """
        moment = await self._call(self._ib.reqCurrentTimeAsync, "the time", self._heartbeat)
        return moment.astimezone(UTC)

    async def close(self) -> None:
        """Close the socket; what the gateway still has to say is read after the next connection."""
        self._ib.disconnectedEvent -= self._ib.log.disconnected
        self._ib.disconnect()
        await asyncio.sleep(0)

    async def _looked_up(self, symbol: str) -> ContractFacts | None:
        stock = Stock(symbol, "SMART", "USD")
        what = f"contract details of {symbol}"
        try:
            details = await self._call(lambda: self._ib.reqContractDetailsAsync(stock), what)
        except RequestRefused as error:
            if error.code == NO_SECURITY:
                return None
            raise
        facts = conversion.contract_facts(symbol, details)
        if facts is not None:
            self._book.put(facts)
        return facts

    async def _call(
        self, ask: Callable[[], Awaitable[Answer]], what: str, deadline: float | None = None
    ) -> Answer:
        """Ask, and wait for the answer until the deadline; ib_async may raise in both."""
        deadline = deadline or self._timeout
        with self._connected:
            try:
                return await asyncio.wait_for(ask(), deadline)
            except RequestError as error:
                raise refusal(what, error.code, error.message) from error
            except TimeoutError as error:
                raise GatewayUnreachable(
                    f"the gateway on {self._where} did not answer the request for {what} within "
                    f"{deadline:g} s; see that it runs and is logged in"
                ) from error


class OrderConnection(Connection):
    """The connection that carries orders and no data: the OrderGateway of `protocol`."""

    async def qualify(self, symbols: Sequence[str], *, refresh: bool = False) -> None:
        """Look up contracts, and the market rules that their prices must keep to."""
        await super().qualify(symbols, refresh=refresh)
        for rule_id in self._book.missing_rules(symbols):
            bands = await self._call(
                lambda rule_id=rule_id: self._ib.reqMarketRuleAsync(rule_id),
                f"market rule {rule_id}",
            )
            self._book.put_rule(rule_id, conversion.market_rule_of(rule_id, bands or ()))

    def market_rule(self, symbol: str) -> MarketRule:
        """Return the price increments of a symbol that was looked up."""
        return self._book.rule_of(symbol)

    def next_order_id(self) -> int:
        """Return an order id above every one that the gateway has shown."""
        with self._connected:
            return self._ib.client.getReqId()

    async def collect_evidence(self) -> Evidence:
        """Ask, one after the other, for orders, executions, positions and cash."""
        ib, account = self._ib, self.account
        ib.log.orders.clear()
        await self._call(ib.reqAllOpenOrdersAsync, "open orders")
        await self._call(lambda: ib.reqCompletedOrdersAsync(False), "completed orders")
        await self._call(ib.reqExecutionsAsync, "executions")
        positions = await self._call(ib.reqPositionsAsync, "positions")
        told = await self._summary()
        summary = conversion.summary_of(told, account, SUMMARY_TAGS)
        at = await self.flush()
        self._require_readable()
        return Evidence(
            account=account,
            at=at,
            cash=summary["TotalCashValue"],
            net_liquidation=summary["NetLiquidation"],
            positions={
                conversion.name_of(item.contract): conversion.whole_shares(item.position)
                for item in positions
                if item.account == account and item.position
            },
            orders=tuple(ib.log.orders.values()),
            fills=tuple(ib.log.fills.values()),
            commissions=tuple(ib.log.commissions.values()),
            day_trades_remaining=conversion.day_trades_of(told, account),
        )

    async def what_if(self, child: ChildOrder) -> MarginImpact:
        """Ask what an order would do to the account's margin; nothing is placed.

        Raises RetryLater when the answer tells no amounts.
        """
        what = f"the margin of {child.side} {child.quantity} {child.symbol}"
        contract, order = (
            self._contracts[child.symbol],
            conversion.order_of(Order(), child, self.account),
        )
        state = await self._call(lambda: self._ib.whatIfOrderAsync(contract, order), what)
        return conversion.margin_of(state, what)

    def send(self, child: ChildOrder) -> None:
        """Write one committed child to the socket; its outcome comes as events."""
        if child.order_id is None:
            raise InvalidInput(f"{child.order_ref} has no order id: commit its intent first")
        client = self._ib.client
        self._ib.log.name_order(self.client_id, child.order_id, child.order_ref, child.symbol)
        client.updateReqId(child.order_id + 1)
        with self._connected:
            order = conversion.order_of(Order(), child, self.account)
            # Not IB.placeOrder: it takes the second use of an id for a change of the first order.
            client.placeOrder(child.order_id, self._contracts[child.symbol], order)

    def send_unpaced(self) -> None:
        """Send as fast as asked: for a gateway that does not count, in measurements."""
        self._ib.client.MaxRequests = 0

    def room(self, urgency: Urgency) -> int:
        """Return how many messages of this urgency may go now without one having to wait."""
        limit = self._ib.client.MaxRequests
        return room(self._ib.client.used, urgency) if limit else NO_LIMIT

    def cancel(self, order_id: int) -> None:
        """Ask for the cancellation of one of this client's orders."""
        with self._connected:
            self._ib.client.cancelOrder(order_id, "")

    def cancel_everything(self) -> Awaitable[int]:
        """Cancel every working order, whoever sent it; await the answer for how many there were.

        The cancel is on the socket when this returns: it is written right behind the question and
        waits for no answer. It is sent with no order in sight too: one may just be on its way.
        """
        with self._connected:
            asked = self._ib.reqAllOpenOrdersAsync()
            self._ib.reqGlobalCancel()
        return self._counted(asked)

    async def _counted(self, asked: Awaitable[Sequence[object]]) -> int:
        return len(await self._call(lambda: asked, "open orders"))

    def pending_events(self) -> list[BrokerEvent]:
        """Return, without waiting, the evidence that has arrived and was not yet taken."""
        self._require_readable()
        return self._ib.log.take()

    def _require_readable(self) -> None:
        if self._ib.log.unreadable:
            raise HaltTrading(
                f"the broker sent what cannot be used ({self._ib.log.unreadable}); nothing is sent "
                "on incomplete evidence: look at the account in TWS"
            )

    async def _summary(self) -> Sequence[AccountValue]:
        ib = self._ib
        ib.wrapper.acctSummary.clear()
        request_id = self.next_order_id()

        def ask() -> Awaitable[Any]:
            answer = ib.wrapper.startReq(request_id)
            ib.client.reqAccountSummary(
                request_id, "All", f"{SUMMARY_TAGS},{conversion.DAY_TRADES}"
            )
            return answer

        await self._call(ask, "the account summary")
        with self._connected:
            ib.client.cancelAccountSummary(request_id)
        return tuple(ib.wrapper.acctSummary.values())
