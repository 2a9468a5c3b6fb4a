"""The control socket and the held clock, against a real process."""

import asyncio
import json
import socket

import pytest

pytestmark = pytest.mark.journey


async def test_hello_tells_what_is_real_and_what_is_simulated(shared_gateway, open_control):
    control = await open_control(shared_gateway)
    hello = await control.ask("hello")
    assert hello["account"] == "SIM0000001"
    assert hello["api_port"] == shared_gateway.port
    assert hello["pid"] == shared_gateway.process.pid
    assert hello["clock"] == "step"
    assert hello["seed"] == 7
    assert "real" in hello["market"]
    assert "simulated" in hello["market"]
    assert hello["session"]["open"] == "2022-12-29T14:30:00.000000+00:00"


async def test_time_stops_exactly_where_it_was_asked_to(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    control = await open_control(gateway)
    assert (await control.ask("hold", name="me"))["now"] == "2022-12-29T13:00:00.000000+00:00"
    for moment in ("14:29:59.999999", "14:30:00.000001", "14:45:12.345678"):
        assert (await control.advance(moment))["now"] == f"2022-12-29T{moment}+00:00"
        await asyncio.sleep(0.05)
        assert (await control.ask("time"))["now"].startswith(f"2022-12-29T{moment}")
    back = await control.raw("advance", to="2022-12-29T14:00:00+00:00")
    assert not back["ok"]
    assert "cannot go back" in back["error"]


async def test_closed_hours_pass_at_once(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--speed", "1")
    control = await open_control(gateway)
    # 90 minutes of market time at 1x, if they did not: the test's own deadline ends that
    assert (await control.advance("14:30:00"))["now"] == "2022-12-29T14:30:00.000000+00:00"


async def test_time_waits_for_the_slowest_holder(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    fast, slow = await open_control(gateway), await open_control(gateway)
    await fast.ask("hold", name="fast")
    await slow.ask("hold", name="slow")
    far = asyncio.create_task(fast.advance("15:00:00"))
    await asyncio.sleep(0.2)
    assert not far.done()
    assert (await slow.advance("14:40:00"))["now"].startswith("2022-12-29T14:40:00.000000")
    await asyncio.sleep(0.1)
    assert not far.done()
    status = await slow.ask("status")
    assert status["holders"] == [
        {"name": "fast", "target": "2022-12-29T15:00:00.000000+00:00"},
        {"name": "slow", "target": None},
    ]
    slow.close()
    assert (await far)["now"].startswith("2022-12-29T15:00:00.000000")


async def test_release_lets_a_free_clock_run(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state", "--clock", "free", "--speed", "100")
    control = await open_control(gateway)
    held = (await control.ask("hold", name="me"))["now"]
    await asyncio.sleep(0.2)
    assert (await control.ask("time"))["now"] == held
    await control.ask("release")
    await asyncio.sleep(0.5)
    assert (await control.ask("time"))["now"] > held


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"nonsense\n", "one JSON object"),
        (b"[1]\n", "one JSON object"),
        (b'{"id": 3, "op": "dance"}\n', "use one of hello"),
        (b'{"id": 3, "op": "advance"}\n', "ISO-8601"),
        (b'{"id": 3, "op": "advance", "to": "2030-01-01T00:00:00"}\n', "offset"),
    ],
)
def test_bad_requests_are_told_what_to_do(shared_gateway, line, says):
    with socket.create_connection(("127.0.0.1", shared_gateway.control_port), 10) as link:
        link.sendall(line + b'{"id": 4, "op": "time"}\n')
        with link.makefile("rb") as stream:
            reply, after = json.loads(stream.readline()), json.loads(stream.readline())
    assert not reply["ok"]
    assert says in reply["error"]
    assert after["ok"]


async def test_shutdown_keeps_the_state_and_ends_cleanly(start_gateway, open_control, tmp_path):
    gateway = start_gateway(tmp_path / "state")
    control = await open_control(gateway)
    await control.advance("14:31:00")
    await control.ask("shutdown")
    assert gateway.process.wait(10) == 0
    again = start_gateway(tmp_path / "state")
    assert "2022-12-29 14:31:00 UTC" in again.line
    again.stop()
    anew = start_gateway(tmp_path / "state", "--reset", "--yes")
    assert "2022-12-29 13:00:00 UTC" in anew.line
