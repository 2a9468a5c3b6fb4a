"""What a session is connected to: market time, the order connection and the data connection."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.broker.clock import GatewayClock, WallClock, open_clock
from tasks.broker.contracts import ContractBook
from tasks.broker.roles import Role, address
from tasks.session.clock_check import after_a_step, require_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.broker.ibkr import OrderConnection
    from tasks.broker.market_data import DataConnection
    from tasks.settings import Settings

BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class SessionLinks:
    """Opened anew after every loss; what was looked up of contracts stays."""

    settings: Settings
    alert: Callable[[str, str], None]
    clock: WallClock | GatewayClock = field(default_factory=WallClock)
    contracts: ContractBook = field(default_factory=ContractBook)
    _orders: OrderConnection | None = None
    _data: DataConnection | None = None
    _read_until: datetime = BEGINNING  # a quote that comes is no older

    async def open_clock(self) -> None:
        """Connect to market time."""
        settings = self.settings
        self.clock = await open_clock(
            settings.clock, settings.host, settings.control_port, "execute"
        )

    async def connect(self) -> tuple[OrderConnection, DataConnection]:
        """Connect both, and pass only a tradable account and a clock that the broker agrees with.

        Raises GatewayUnreachable without a gateway, HaltTrading for account or clock.
        """
        from tasks.broker.ibkr import OrderConnection
        from tasks.broker.market_data import DataConnection

        settings, book = self.settings, self.contracts
        await self.disconnect()
        if isinstance(self.clock, GatewayClock) and not self.clock.is_open:
            await self.open_clock()
        timeout, beat = settings.broker_timeout, settings.heartbeat
        where, data_where = address(settings, Role.ORDERS), address(settings, Role.DATA)
        orders = self._orders = await OrderConnection.open(where, timeout, beat, book)
        data = self._data = await DataConnection.open(data_where, timeout, beat, book)
        settings.require_tradable(orders.account)
        if isinstance(self.clock, WallClock):
            await require_clock(orders, self.clock.now, settings.max_clock_skew, self.alert)
        self._read_until = self.clock.now()
        data.stamp_quotes_with(lambda: self._read_until)
        return orders, data

    async def read(self) -> datetime:
        """Return the market time at which all that was sent before has been received on both."""
        assert self._orders is not None and self._data is not None
        await self._orders.flush()
        await self._data.flush()
        self._read_until = self.clock.now()
        return self._read_until

    async def require_even_time(self) -> None:
        """Raise RetryLater when this computer lost time; tell when its clock was only stepped."""
        if isinstance(self.clock, WallClock) and self._orders is not None:
            limit = self.settings.max_clock_skew
            await after_a_step(self._orders, self.clock, limit, self.alert)

    async def disconnect(self) -> None:
        """Close both connections."""
        for connection in (self._orders, self._data):
            if connection is not None:
                with suppress(OSError):
                    await connection.close()
        self._orders = self._data = None

    async def close(self) -> None:
        """Close both connections and let go of market time."""
        await self.disconnect()
        await self.clock.close()
