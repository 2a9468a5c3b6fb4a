"""The simulated IB Gateway as a process: start it, ask it, move its market time, stop it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.domain.errors import InvalidInput, RoboError
from models.domain.sessions import at_exchange_time, exchange_date, next_session, session_on
from tasks.broker.clock import GatewayClock, ask_control
from tasks.broker.protocol import GatewayUnreachable
from tasks.processes import Service, module_command, require_free

if TYPE_CHECKING:
    from tasks.settings import Settings

START_DEADLINE = 60.0
MORNING_HOUR = 8  # New York: when a trading day of the demo begins
AFTER_CLOSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class GatewayHello:
    """What a running gateway says of itself; `now` is market time (UTC), `market` a sentence."""

    account: str
    now: datetime
    speed: float
    seed: int
    market: str
    pid: int
    started_here: bool


def find_gateway(settings: Settings) -> GatewayHello | None:
    """Return the gateway that answers on the control port, or None."""
    try:
        return _hello(_control(settings, {"op": "hello"}), started_here=False)
    except GatewayUnreachable:
        return None


def ensure_gateway(settings: Settings) -> GatewayHello:
    """Return the running gateway, started now if there was none.

    Raises InvalidInput in a mode that is not simulated or when a port is taken, RetryLater with
    the end of its log when it does not come up.
    """
    if settings.mode != "simulated":
        raise InvalidInput(
            f"the simulated gateway belongs to mode simulated, not {settings.mode}; start IB "
            "Gateway for a paper or live account"
        )
    found = find_gateway(settings)
    if found is not None:
        return found
    service = start_gateway(settings)
    try:
        service.wait_until(lambda: find_gateway(settings) is not None, START_DEADLINE)
    except BaseException:
        service.stop()
        raise
    return _hello(_control(settings, {"op": "hello"}), started_here=True)


def start_gateway(settings: Settings) -> Service:
    """Start the gateway process of the settings, without waiting for it."""
    require_free(settings.host, settings.port, "the gateway's API", "ROBO_PORT")
    require_free(settings.host, settings.control_port, "the gateway's control", "ROBO_CONTROL_PORT")
    arguments = {
        "host": settings.host,
        "port": settings.port,
        "control-port": settings.control_port,
        "seed": settings.gateway_seed,
        "speed": settings.gateway_speed,
        "cash": settings.gateway_cash,
        "clock": "held",
        "state-dir": settings.gateway_dir,
    }
    command = module_command(
        "gateway", "run", *(text for k, v in arguments.items() for text in (f"--{k}", str(v)))
    )
    return Service.start("gateway", command, settings.gateway_dir / "gateway.log", {})


def stop_gateway(settings: Settings) -> None:
    """Ask the gateway to save its state and end; one that is gone already is left in peace."""
    with suppress(GatewayUnreachable):
        _control(settings, {"op": "shutdown"})


def open_trading_day(settings: Settings, now: datetime) -> datetime:
    """Move market time into the next trading day if the present one is over; return market time.

    A day that is not over yet is left as it is, so that an interrupted one goes on.
    """
    session = session_on(exchange_date(now))
    if session is not None and now < session.close:
        return now
    upcoming = next_session(exchange_date(now))
    return move_market_time(settings, at_exchange_time(upcoming.date, MORNING_HOUR))


def close_trading_day(settings: Settings, now: datetime) -> datetime:
    """Let market time run to just after the close of the present session; return market time."""
    session = session_on(exchange_date(now))
    if session is None:
        return now
    return move_market_time(settings, session.close + AFTER_CLOSE)


def move_market_time(settings: Settings, moment: datetime) -> datetime:
    """Let market time run to `moment` (at the gateway's speed while the market is open)."""
    return asyncio.run(_move(settings, moment))


async def _move(settings: Settings, moment: datetime) -> datetime:
    clock = await GatewayClock(settings.host, settings.control_port, "trading day").open()
    try:
        await clock.sleep_until(moment)
        return clock.now()
    finally:
        await clock.close()


def _control(settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    return ask_control(settings.host, settings.control_port, request)


def _hello(reply: dict[str, Any], *, started_here: bool) -> GatewayHello:
    try:
        return GatewayHello(
            account=reply["account"],
            now=datetime.fromisoformat(reply["now"]),
            speed=float(reply["speed"]),
            seed=int(reply["seed"]),
            market=reply["market"],
            pid=int(reply["pid"]),
            started_here=started_here,
        )
    except KeyError as error:
        raise RoboError(
            f"what answers on the control port is no gateway of this version ({error} is missing "
            "from its greeting); stop it and start `robo gateway run`"
        ) from error
