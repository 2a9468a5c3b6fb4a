"""The broker's side of every session: works requests and tells clients what they should know."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, TypeVar

from gateway.codec.fields import CodecError
from gateway.codec.messages import Out, message
from gateway.codec.requests import read_request
from gateway.engine.exchange import Exchange
from gateway.engine.orders import CommissionCharged, Event, Executed, Notice, OrderChanged
from gateway.engine.refusal import Refused
from gateway.faults.desk import FaultDesk
from gateway.limits import PacingLimits
from gateway.options import ACCOUNT
from gateway.pacing import LAG_BEAT, Pacer
from gateway.session import (
    account_requests,
    depth_requests,
    history_requests,
    manual_orders,
    order_requests,
    profit_requests,
    quote_requests,
    reference_requests,
    refusals,
    tick_history,
    tick_requests,
)
from gateway.session.connection import Connection
from gateway.session.contracts import separate_primary
from gateway.session.subscriptions import Subscriptions
from gateway.timeline import SECOND
from models.domain.errors import RetryLater

log = logging.getLogger("gateway.session")

FLUSH_WALL = 0.25  # seconds; Interactive Brokers samples stocks every 250 ms
ACCOUNT_EVERY = 180 * SECOND  # of market time between account updates without a trade
SLOW_WALL = 1.0  # seconds between account and profit updates
DRAIN_WAIT = 5.0  # seconds that an advance waits for clients to take their data

IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."
ACCOUNT_PARTS = frozenset(
    (
        *("data_type", "account", "positions", "positions_multi", "account_multi", "summaries"),
        *("profit", "profit_single", "auto_bind", "account_sent"),
    )
)

Values = dict[str, Any]
Result = TypeVar("Result")
Handler = Callable[["Hub", Connection, Values], Coroutine[Any, Any, None] | None]


class Hub:
    """Every API connection of one gateway, over one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        server_version: int,
        pacing: PacingLimits | None = None,
        master_client_id: int | None = None,
    ) -> None:
        self.exchange = exchange
        self._master_client_id = master_client_id
        self._server_version = server_version
        self.connections: list[Connection] = []
        self.pacer = Pacer(pacing or PacingLimits())
        exchange.most_active = self.pacer.limits.active_orders
        self.faults = FaultDesk(exchange, exchange.market.seed, self.connections)
        self.faults.lose_data = self._lose_data
        self.faults.work = self._work_late
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pool = ThreadPoolExecutor(1, "gateway-history")
        self._tasks: set[asyncio.Task[None]] = set()
        self.clock_runs: Callable[[], bool] = lambda: False
        self.entitled = True  # to live market data; without it only delayed data is given
        self._account_dirty = True
        self._account_at = exchange.now
        self._slow_at = 0.0
        self._handlers: dict[str, Handler] = {
            **refusals.HANDLERS,
            **reference_requests.HANDLERS,
            **order_requests.HANDLERS,
            **manual_orders.HANDLERS,
            **account_requests.HANDLERS,
            **profit_requests.HANDLERS,
            **quote_requests.HANDLERS,
            **depth_requests.HANDLERS,
            **history_requests.HANDLERS,
            **tick_requests.HANDLERS,
            **tick_history.HANDLERS,
        }

    @property
    def server_version(self) -> int:
        """The newest protocol version that this gateway speaks."""
        return self._server_version

    @property
    def now(self) -> int:
        """Market time in microseconds."""
        return self.exchange.now

    def joined(self, connection: Connection) -> None:
        """Note a new connection."""
        connection.subscriptions = Subscriptions()
        self.connections.append(connection)
        self.faults.joined(connection)

    def left(self, connection: Connection) -> None:
        """Note that a connection ended."""
        if connection in self.connections:
            self.connections.remove(connection)
            self.pacer.left(connection)
            self.faults.left(connection)

    def is_halted(self, column: int) -> bool:
        """Say whether trading of an instrument is halted."""
        return column in self.exchange.halted

    @property
    def clients(self) -> list[Connection]:
        """The connections that have named their client id."""
        return [c for c in self.connections if c.client_id is not None]

    def handle(self, connection: Connection, tokens: list[str]) -> None:
        """Work one message; whatever is wrong with it is answered, never raised."""
        name, values = "", {}
        if not self.pacer.admit(connection):
            return
        try:
            request, values = read_request(tokens, connection.version)
            name = request.name
            if name != "startApi" and connection.client_id is None:
                connection.error(-1, 504, "Not connected")
            elif not self.faults.asked(connection, name, values):
                self._work(connection, name, values)
        except CodecError as error:
            request_id = _request_id(error.values)
            connection.error(
                request_id, 320, f"Server error when reading an API client request: {error}"
            )
        except Refused as refusal:
            connection.error(_request_id(values), refusal.code, refusal.text)
            if refusal.code == 326:
                connection.close()
        except Exception as error:
            log.exception("request %s failed", name)
            connection.error(_request_id(values), 322, f"Error processing request: {error}")
            if self.exchange.changes.any or self.exchange.changes.events:
                self.fail(error)  # half an action must not be written as if it were whole

    def _work(self, connection: Connection, name: str, values: Values) -> None:
        if name == "startApi":
            self._start_api(connection, values["clientId"])
            return
        if "exchange" in values:
            separate_primary(values)
        self.pacer.check(connection, name, values)
        work = self._handlers[name](self, connection, values)
        self.pacer.accepted(connection, name, values)
        if work is not None:
            self.spawn(connection, values, work)

    def _work_late(self, connection: Connection, name: str, values: Values) -> None:
        """Work a request that a fault had put aside."""
        try:
            self._work(connection, name, values)
        except Refused as refusal:
            connection.error(_request_id(values), refusal.code, refusal.text)

    def spawn(
        self, connection: Connection, values: Values, work: Coroutine[Any, Any, None]
    ) -> None:
        """Run the slow part of a request beside the others."""
        request_id = values["reqId"]

        async def run() -> None:
            try:
                await work
            except Refused as refusal:
                connection.error(request_id, refusal.code, refusal.text)
            except Exception as error:
                log.exception("request %s failed", request_id)
                connection.error(request_id, 322, f"Error processing request: {error}")
            finally:
                self.pacer.finished(connection, values)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Compute something long in the history thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def fail(self, error: BaseException) -> None:
        """Bring the gateway down: its state can no longer be trusted."""
        if not self.failed.done():
            self.failed.set_exception(error)

    def close(self) -> None:
        """Close every connection and stop the history thread."""
        for task in self._tasks:
            task.cancel()
        for connection in list(self.connections):
            connection.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_api(self, connection: Connection, client_id: int) -> None:
        if connection.client_id is not None:
            raise Refused(501, f"Already connected: as client {connection.client_id}.")
        if client_id < 0:
            raise Refused(
                321, f"Error validating request: cause - Client id {client_id} is negative"
            )
        if any(other.client_id == client_id for other in self.connections):
            raise Refused(326, IN_USE)
        connection.client_id = client_id
        connection.send(message(Out.MANAGED_ACCOUNTS, 1, ACCOUNT))
        connection.send(message(Out.NEXT_VALID_ID, 1, self.exchange.next_id(client_id)))
        for code, text in (
            (2104, "Market data farm connection is OK:usfarm"),
            (2106, "HMDS data farm connection is OK:ushmds"),
            (2158, "Sec-def data farm connection is OK:secdefnj"),
        ):
            connection.error(-1, code, text)

    # -- telling ---------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Write what happened to the journal, then tell the clients."""
        try:
            events = self.exchange.commit()
        except Exception as error:
            log.exception("the journal cannot be written")
            self.fail(
                RetryLater(
                    f"the gateway's state cannot be written ({error}); nothing that was "
                    "acknowledged is lost: make room on the disk and start the gateway again"
                )
            )
            return
        if not events:
            return
        by_client = {connection.client_id: connection for connection in self.clients}
        columns: set[int] = set()
        for event in events:
            for told in self.faults.passed(event):
                columns |= self._tell(told, by_client)
        if not self.clock_runs():
            shown = {event.order.column for event in events if isinstance(event, OrderChanged)}
            seen: quote_requests.Seen = {}
            levels: depth_requests.Levels = {}
            for connection in self.clients:
                quote_requests.tell_quotes(self, connection, seen, shown - columns)
                depth_requests.tell_depth(self, connection, levels, shown)
        if columns:
            traded: quote_requests.Seen = {}
            self._account_dirty = True
            if not self.clock_runs():
                asyncio.get_running_loop().call_soon(self._tell_account)
            for connection in self.clients:
                account_requests.tell_positions(self, connection, columns)
                if not self.clock_runs():
                    quote_requests.tell_quotes(self, connection, traded, columns)

    def _tell(self, event: Event, by_client: dict[int | None, Connection]) -> set[int]:
        match event:
            case OrderChanged(order):
                for connection in self._hearing(order.client_id, order.told_id, by_client):
                    order_requests.tell_order(connection, order)
            case Notice(client_id, order_id, code, text):
                if order_id and (connection := by_client.get(client_id)):
                    connection.error(order_id, code, text)
            case Executed(execution):
                for connection in self._hearing(execution.client_id, execution.order_id, by_client):
                    order_requests.tell_execution(connection, execution, -1)
                return {execution.column}
            case CommissionCharged(execution):
                for connection in self._hearing(execution.client_id, execution.order_id, by_client):
                    order_requests.tell_commission(connection, execution)
                return {execution.column}
        return set()

    def _hearing(
        self, client_id: int, order_id: int, by_client: dict[int | None, Connection]
    ) -> list[Connection]:
        """Return who hears of an order: its client if that has an id for it, and the master."""
        ids = dict.fromkeys((client_id if order_id else None, self._master_client_id))
        return [by_client[one] for one in ids if one is not None and one in by_client]

    def _tell_account(self) -> None:
        """Send the account after trades at a standing clock, once for all that came together."""
        if self._account_dirty:
            self._account_dirty, self._account_at = False, self.now
            for connection in self.clients:
                account_requests.tell_account(self, connection)
                profit_requests.tell_profit(self, connection)

    def _lose_data(self, connection: Connection) -> None:
        """Forget every data subscription of a client, as a 1101 says."""
        fresh = Subscriptions()
        for name in (f.name for f in fields(Subscriptions) if f.name not in ACCOUNT_PARTS):
            setattr(connection.subscriptions, name, getattr(fresh, name))
        self.pacer.left(connection)

    async def run_lag(self) -> None:
        """Measure how late this loop runs, so that its own delays are not taken for pacing."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(LAG_BEAT)
            late = time.monotonic() - began - LAG_BEAT
            self.pacer.late = max(late, self.pacer.late - LAG_BEAT)

    def flush(self, final: bool = False) -> None:
        """Send the latest quotes, and now and then the account; `final` when the clock stops."""
        now = time.monotonic()
        slow = final or now - self._slow_at >= SLOW_WALL
        stale = self._account_dirty or self.now - self._account_at >= ACCOUNT_EVERY
        seen: quote_requests.Seen = {}
        levels: depth_requests.Levels = {}
        for connection in self.clients:
            if connection.is_slow and not final:
                continue
            quote_requests.tell_quotes(self, connection, seen, force=final)
            depth_requests.tell_depth(self, connection, levels)
            history_requests.tell_bars(self, connection)
            tick_requests.tell_ticks(self, connection)
            if slow:
                profit_requests.tell_profit(self, connection)
                if stale:
                    account_requests.tell_account(self, connection)
        if slow:
            self._slow_at = now
            if stale:
                self._account_dirty, self._account_at = False, self.now

    async def settle(self) -> None:
        """Save, send the last state and wait until the sockets have taken it."""
        self.deliver()
        self.flush(final=True)
        for connection in self.clients:
            connection.write()
        until = time.monotonic() + DRAIN_WAIT
        while any(c.backlog for c in self.clients) and time.monotonic() < until:
            await asyncio.sleep(0.001)

    async def run_flush(self) -> None:
        """Flush for as long as the gateway lives."""
        last = -1
        while True:
            await asyncio.sleep(FLUSH_WALL)
            if self.exchange.now != last:
                last = self.exchange.now
                self.flush()


def _request_id(values: Values) -> int:
    return values.get("reqId", values.get("orderId", -1))
