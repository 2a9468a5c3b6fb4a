"""Market data and market time over a real socket, against a real gateway process."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from models.domain.errors import InvalidInput
from models.domain.sessions import exchange_date, session_on
from tasks.broker.clock import GatewayClock, WallClock, ask_control, market_now, open_clock
from tasks.broker.protocol import GatewayUnreachable
from tasks.processes import free_port

pytestmark = pytest.mark.journey

# -- data ---------------------------------------------------------------------------------------


async def test_every_unknown_symbol_is_named(gateway):
    async with gateway.data(42) as data:
        with pytest.raises(InvalidInput, match=r"NOPE, ZZZZ"):
            await data.qualify(["KO", "NOPE", "PEP", "ZZZZ"])
        with pytest.raises(InvalidInput, match="NOPE"):
            await data.daily_bars("NOPE", None, date(2022, 12, 28))
        assert data.quote("NOPE") is None


async def test_history_comes_whole_and_then_only_what_is_new(gateway):
    async with gateway.data(43, timeout=60.0) as data:  # 33 years, on however slow a machine
        end = date(2022, 12, 28)
        whole = await data.daily_bars("KO", None, end)
        assert len(whole) > 8_000
        assert whole["session"].is_monotonic_increasing
        assert whole["session"].iloc[-1] == end
        assert list(whole.columns) == [
            *("symbol", "session", "open", "high", "low", "close", "volume")
        ]
        news = await data.daily_bars("KO", date(2022, 12, 19), end)
        assert news["session"].iloc[0] == date(2022, 12, 19)
        tail = whole[whole["session"] >= date(2022, 12, 19)].reset_index(drop=True)
        assert news.equals(tail)
        years = await data.daily_bars("KO", date(2020, 6, 1), end)
        assert years["session"].iloc[0] == date(2020, 6, 1)


async def test_a_halted_symbol_has_no_quote_and_news_that_is_no_quote_makes_none_fresh(
    gateway, into_session
):
    async with gateway.clock() as clock, gateway.data(45) as data:
        await into_session(clock)
        data.stamp_quotes_with(clock.now)
        await data.subscribe(["KO", "JPM"])
        await clock.sleep_until(clock.now() + timedelta(minutes=1))
        await data.flush()
        assert data.quote("KO") is not None
        gateway.ask("halt", symbol="KO")
        try:
            await clock.sleep_until(clock.now() + timedelta(minutes=10))
            await data.flush()
            assert data.quote("KO") is None
            assert data.quote("JPM") is not None
        finally:
            gateway.ask("resume", symbol="KO")
        resumed = clock.now()
        await clock.sleep_until(resumed + timedelta(minutes=10))
        await data.flush()
        quote = data.quote("KO")
        assert quote is not None
        assert quote.at >= resumed


async def test_quotes_carry_the_market_time_at_which_they_arrived(gateway, into_session):
    async with gateway.clock() as clock, gateway.data(44) as data:
        await into_session(clock)
        data.stamp_quotes_with(clock.now)
        await data.subscribe(["KO", "JPM"])
        await data.flush()
        first = data.quote("KO")
        assert first.is_sane
        assert first.at == clock.now()
        assert first.bid == round(first.bid, 2), "the wire's cents, no binary tail"
        began = clock.now()
        await clock.sleep_until(began + timedelta(minutes=5))
        await data.flush()
        later = data.quote("KO")
        assert began <= later.at <= clock.now(), "never newer than it can be"


async def test_no_quote_is_left_once_after_market_trading_has_ended(gateway, into_session):
    async with gateway.clock() as clock, gateway.data(45) as data:
        await into_session(clock)
        data.stamp_quotes_with(clock.now)
        await data.subscribe(["KO"])
        await data.flush()
        assert data.quote("KO") is not None
        day = session_on(exchange_date(clock.now()))
        await clock.sleep_until(day.close + timedelta(hours=4, minutes=1))
        await data.flush()
        assert data.quote("KO") is None


# -- market time --------------------------------------------------------------------------------


async def test_market_time_stands_still_between_the_moments_asked_for(gateway):
    async with gateway.clock() as clock:
        now = clock.now()
        assert now == gateway.now
        await asyncio.sleep(0.2)
        assert gateway.now == now
        await clock.sleep_until(now + timedelta(seconds=90))
        assert clock.now() == gateway.now == now + timedelta(seconds=90)
        await clock.sleep_until(now)  # past already: at once
        assert clock.now() == now + timedelta(seconds=90)
        assert clock.wall_seconds_until(clock.now() + timedelta(hours=1)) == pytest.approx(1.0)
        assert clock.wall_seconds_per_second == pytest.approx(1 / 3600)


async def test_a_clock_that_another_holder_keeps_says_so(gateway, monkeypatch):
    monkeypatch.setattr("tasks.broker.clock.CONTROL_TIMEOUT", 0.5)
    async with gateway.clock("keeper"), gateway.clock("waiter") as clock:
        with pytest.raises(GatewayUnreachable, match="another holder may keep market time"):
            await clock.sleep_until(clock.now() + timedelta(seconds=1))
        assert not clock.is_open, "a late answer must not be taken for another's"


async def test_the_control_port_is_told_apart(gateway):
    port = free_port()
    with pytest.raises(GatewayUnreachable, match="ROBO_CONTROL_PORT"):
        await GatewayClock("127.0.0.1", port, "test").open()
    with pytest.raises(GatewayUnreachable, match=str(port)):
        market_now("gateway", "127.0.0.1", port)
    with pytest.raises(InvalidInput, match="the gateway refused: op 'dance' is unknown"):
        gateway.ask("dance")

    async def chatter(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()

    server = await asyncio.start_server(chatter, "127.0.0.1", 0)
    try:
        other = server.sockets[0].getsockname()[1]
        with pytest.raises(InvalidInput, match="no gateway's control port"):
            await asyncio.to_thread(ask_control, "127.0.0.1", other, {"op": "time"})
    finally:
        server.close()


async def test_the_wall_clock_is_real_time():
    clock = await open_clock("wall", "127.0.0.1", 1, "test")
    assert isinstance(clock, WallClock)
    before = clock.now()
    await clock.sleep_until(before + timedelta(seconds=0.1))
    assert timedelta(seconds=0.1) <= clock.now() - before < timedelta(seconds=5)
    assert abs(market_now("wall", "", 0) - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.wall_seconds_until(before) == 0.0
    assert clock.is_open
    await clock.close()


async def test_subscriptions_are_replayed_after_1101_and_old_quotes_refused(gateway, into_session):
    """1101: the gateway has forgotten every subscription."""
    async with gateway.clock() as clock, gateway.data() as data:
        await into_session(clock)
        data.stamp_quotes_with(clock.now)
        await data.subscribe(["KO"])
        await data.flush()
        assert data.quote("KO") is not None
        gateway.ask("fault", fault="connectivity-lost", params={"restore": "1101", "seconds": 5})
        await clock.sleep_until(clock.now() + timedelta(seconds=4))
        lost_at = clock.now()
        await clock.sleep_until(lost_at + timedelta(seconds=2))
        for _ in range(20):
            await clock.sleep_until(clock.now() + timedelta(seconds=1))
            await data.flush()
            quote = data.quote("KO")
            if quote is not None:
                break
        assert quote is not None
        assert quote.at > lost_at
