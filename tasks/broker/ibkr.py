"""Interactive Brokers through ib_async: the only module that imports it.

ib_async's own order objects lose evidence (a commission that comes before its execution, an
execution correction, the state of an order after a harmless error code), so `EvidenceWrapper`
takes each message as it is decoded, before that logic, and passes it on in domain types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ib_async import (
    IB,
    Contract,
    Order,
    RequestError,
    StartupFetch,
    Stock,
)
from ib_async.client import Client
from ib_async.wrapper import Wrapper

from models.domain.errors import HaltTrading, InvalidInput, RetryLater
from tasks.broker import conversion
from tasks.broker.evidence import EvidenceLog
from tasks.broker.protocol import ApiAddress, BrokerEvent, Evidence, GatewayUnreachable
from tasks.broker.refusals import HISTORY, NO_SECURITY, RequestRefused, refusal
from tasks.broker.tap import EvidenceTap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pandas as pd

    from models.domain.orders import ChildOrder, Quote
    from models.risk.margin import MarginImpact

CLIENT_ID_IN_USE = 326
CLIENT_ID_ATTEMPTS = 4
SHORTABLE = "236"  # the generic tick that tells how many shares may be borrowed
SUMMARY_TAGS = "TotalCashValue,NetLiquidation"

Answer = TypeVar("Answer")


class EvidenceWrapper(EvidenceTap, Wrapper):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Note every order message in an evidence log before ib_async interprets it."""

    def __init__(self, ib: IB, log: EvidenceLog) -> None:
        super().__init__(ib)
        self.log = log


class EvidenceIB(IB):
    """An ib_async connection that also keeps every piece of order evidence in `log`."""

    RaiseRequestErrors = True

    def __init__(self) -> None:
        super().__init__()
        self.log = EvidenceLog()
        self.wrapper = EvidenceWrapper(self, self.log)
        self.client = Client(self.wrapper)
        self.client.apiEnd += self.disconnectedEvent
        self.id_in_use = asyncio.Event()
        self.errorEvent += self._saw_error
        self.disconnectedEvent += self.log.disconnected

    def _saw_error(self, request_id: int, code: int, text: str, _contract: Any) -> None:
        if code == CLIENT_ID_IN_USE:
            self.id_in_use.set()
        self.log.notice(self.client.clientId, request_id, code, text)


class Connection:
    """One API connection with a deadline on every call.

    Raises GatewayUnreachable when the gateway does not answer in `timeout` seconds, RetryLater
    when the client id stays in use, InvalidInput for a symbol that the broker does not know.
    """

    def __init__(self, ib: EvidenceIB, where: str, timeout: float) -> None:
        self._ib = ib
        self._where = where
        self._timeout = timeout
        self._contracts: dict[str, Contract] = {}

    @classmethod
    async def open(cls, address: ApiAddress, timeout: float) -> Self:
        """Connect, retrying a client id that is still in use by a connection just closed."""
        for attempt in range(CLIENT_ID_ATTEMPTS):
            ib = EvidenceIB()
            try:
                await _connect(ib, address, timeout)
            except _ClientIdInUse:
                await asyncio.sleep(0.5 * attempt)
                continue
            return cls(ib, f"{address.host}:{address.port}", timeout)
        raise RetryLater(
            f"client id {address.client_id} is in use at the gateway on {address.host}:"
            f"{address.port}: another session of this system, or another program, is connected "
            "with it; stop that one, or set ROBO_CLIENT_ID and ROBO_DATA_CLIENT_ID to free ids"
        )

    @property
    def account(self) -> str:
        """The account that the broker reports; more than one is refused, since none is chosen."""
        with self._connected():
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

    async def qualify(self, symbols: Sequence[str]) -> None:
        """Look up the contracts of `symbols`; InvalidInput names every one that is unknown."""
        unknown: list[str] = []
        for symbol in symbols:
            if symbol not in self._contracts and not await self._qualified(symbol):
                unknown.append(symbol)
        if unknown:
            raise InvalidInput(
                f"the broker knows no US stock {', '.join(unknown)}; correct ROBO_UNIVERSE"
            )

    async def flush(self) -> datetime:
        """Return the gateway's time (UTC) once all it sent before has been received."""
        moment = await self._call(self._ib.reqCurrentTimeAsync, "the time")
        return moment.astimezone(UTC)

    async def close(self) -> None:
        """Close the socket; what the gateway still has to say is read after the next connection."""
        self._ib.disconnectedEvent -= self._ib.log.disconnected
        self._ib.disconnect()
        await asyncio.sleep(0)

    async def _qualified(self, symbol: str) -> bool:
        stock = Stock(symbol, "SMART", "USD")
        what = f"contract details of {symbol}"
        try:
            details = await self._call(lambda: self._ib.reqContractDetailsAsync(stock), what)
        except RequestRefused as error:
            if error.code == NO_SECURITY:
                return False
            raise
        if not details:
            return False
        stock.conId = details[0].contract.conId if details[0].contract else 0
        self._contracts[symbol] = stock
        return True

    async def _call(self, ask: Callable[[], Awaitable[Answer]], what: str) -> Answer:
        """Ask, and wait for the answer until the deadline; ib_async may raise in both."""
        with self._connected():
            try:
                return await asyncio.wait_for(ask(), self._timeout)
            except RequestError as error:
                raise refusal(what, error.code, error.message) from error
            except TimeoutError as error:
                raise GatewayUnreachable(
                    f"the gateway on {self._where} did not answer the request for {what} within "
                    f"{self._timeout:g} s; see that it runs and is logged in"
                ) from error

    @contextmanager
    def _connected(self) -> Generator[None, None, None]:
        """Turn a socket that has gone into GatewayUnreachable."""
        try:
            yield
        except OSError as error:
            raise GatewayUnreachable(
                f"the connection to the gateway on {self._where} broke ({error}); see that it "
                "runs and is logged in"
            ) from error


class OrderConnection(Connection):
    """The connection that carries orders and no data: the OrderGateway of `protocol`."""

    def next_order_id(self) -> int:
        """Return an order id above every one that the gateway has shown."""
        with self._connected():
            return self._ib.client.getReqId()

    async def collect_evidence(self) -> Evidence:
        """Ask, one after the other, for orders, executions, positions and cash."""
        ib, account = self._ib, self.account
        ib.log.orders.clear()
        await self._call(ib.reqAllOpenOrdersAsync, "open orders")
        await self._call(lambda: ib.reqCompletedOrdersAsync(False), "completed orders")
        await self._call(ib.reqExecutionsAsync, "executions")
        positions = await self._call(ib.reqPositionsAsync, "positions")
        summary = await self._summary(account)
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
        with self._connected():
            order = conversion.order_of(Order(), child, self.account)
            # Not IB.placeOrder: it takes the second use of an id for a change of the first order.
            client.placeOrder(child.order_id, self._contracts[child.symbol], order)

    def cancel(self, order_id: int) -> None:
        """Ask for the cancellation of one of this client's orders."""
        with self._connected():
            self._ib.client.cancelOrder(order_id, "")

    def cancel_everything(self) -> Awaitable[int]:
        """Cancel every working order, whoever sent it; await the answer for how many there were.

        The cancel is on the socket when this returns: it is written right behind the question and
        waits for no answer. It is sent with no order in sight too: one may just be on its way.
        """
        with self._connected():
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

    async def _summary(self, account: str) -> dict[str, Any]:
        ib = self._ib
        ib.wrapper.acctSummary.clear()
        request_id = self.next_order_id()

        def ask() -> Awaitable[Any]:
            answer = ib.wrapper.startReq(request_id)
            ib.client.reqAccountSummary(request_id, "All", SUMMARY_TAGS)
            return answer

        await self._call(ask, "the account summary")
        with self._connected():
            ib.client.cancelAccountSummary(request_id)
        values = ib.wrapper.acctSummary.values()
        return conversion.summary_of(values, account, SUMMARY_TAGS)


class DataConnection(Connection):
    """The connection that carries market data and history and no orders."""

    def __init__(self, ib: EvidenceIB, where: str, timeout: float) -> None:
        super().__init__(ib, where, timeout)
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._stamps: dict[str, datetime] = {}

    def stamp_quotes_with(self, now: Callable[[], datetime]) -> None:
        """Stamp arriving quotes with `now()`: the market time at which they cannot be older."""
        self._now = now

    async def subscribe(self, symbols: Sequence[str], *, with_shortable: bool = False) -> None:
        """Stream the top of book of every symbol, and on request what may be borrowed."""
        await self.qualify(symbols)
        wanted = SHORTABLE if with_shortable else ""
        for symbol in symbols:
            with self._connected():
                ticker = self._ib.reqMktData(self._contracts[symbol], wanted, False, False)
            ticker.updateEvent.connect(self._stamp)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote, or None before both sides were seen in real time."""
        contract = self._contracts.get(symbol)
        ticker = None if contract is None else self._ib.ticker(contract)
        if ticker is None or symbol not in self._stamps:
            return None
        return conversion.quote_of(symbol, ticker, self._stamps[symbol])

    def shortable(self, symbol: str) -> int | None:
        """Return the shares that may be borrowed, or None before the broker has said."""
        contract = self._contracts.get(symbol)
        ticker = None if contract is None else self._ib.ticker(contract)
        return None if ticker is None else conversion.shortable_of(ticker)

    async def daily_bars(self, symbol: str, first: date | None, end: date) -> pd.DataFrame:
        """Return the Bars frame of `symbol` from `first` (None: 33 years) to `end`, inclusive."""
        await self.qualify([symbol])

        def ask() -> Awaitable[Any]:
            return self._ib.reqHistoricalDataAsync(
                self._contracts[symbol],
                datetime(end.year, end.month, end.day, 23, 59, 59, tzinfo=UTC),
                conversion.duration(first, end),
                "1 day",
                "TRADES",
                useRTH=True,
                timeout=0,
            )

        try:
            bars = await self._call(ask, f"history of {symbol}")
        except RequestRefused as error:
            if error.code != HISTORY or "no data" not in str(error).lower():
                raise
            bars = []
        frame = conversion.bars_frame(symbol, bars)
        inside = frame["session"] <= end
        if first is not None:
            inside &= frame["session"] >= first
        return frame[inside].reset_index(drop=True)

    def _stamp(self, ticker: Any) -> None:
        self._stamps[ticker.contract.symbol] = self._now()


class _ClientIdInUse(Exception):  # noqa: N818
    """The gateway answered 326."""


async def _connect(ib: EvidenceIB, address: ApiAddress, timeout: float) -> None:
    host, port = address.host, address.port
    connecting = asyncio.ensure_future(
        ib.connectAsync(
            host,
            port,
            address.client_id,
            timeout,
            readonly=True,  # orders are asked for by collect_evidence, in its own sequence
            raiseSyncErrors=True,
            fetchFields=StartupFetch(0),
        )
    )
    refused = asyncio.ensure_future(ib.id_in_use.wait())
    try:
        await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
        if refused.done() and not connecting.done():
            raise _ClientIdInUse
        await connecting
    except (OSError, TimeoutError) as error:
        if ib.id_in_use.is_set():
            raise _ClientIdInUse from error
        raise GatewayUnreachable(
            f"no gateway answers on {host}:{port} ({error or type(error).__name__}); start the "
            "simulated one with `robo gateway run`, or IB Gateway for a paper account, and see "
            "ROBO_HOST and ROBO_PORT"
        ) from error
    finally:
        for task in (connecting, refused):
            task.cancel()
        await asyncio.gather(connecting, refused, return_exceptions=True)
