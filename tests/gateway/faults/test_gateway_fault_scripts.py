"""Faults by trigger and by script, and those that are refused."""

from datetime import datetime

import pytest

from gateway.faults import desk  # noqa: F401 - it brings every kind
from gateway.faults.registry import KINDS, make
from gateway.faults.triggers import Trigger, read_script
from gateway.timeline import to_iso, to_micros
from models.domain.errors import InvalidInput

pytestmark = pytest.mark.journey

STATUS, EXECUTION, COMMISSION = "3", "11", "59"


async def test_triggers_on_the_nth_request(ib, market):
    await market.fault("duplicate-id", on="placeOrder", nth=2)
    active = (await market.control.ask("faults"))["active"]
    assert active == [{"fault": "duplicate-id", "params": {}, "waits_for": "placeOrder #2"}]
    first, second = ib.far(), ib.far()
    await ib.flushed()
    live = [trade.order.orderId for trade in await ib.reqAllOpenOrdersAsync()]
    assert live == [first.order.orderId]
    assert second.order.orderId not in live
    ib.reqGlobalCancel()
    await ib.flushed()


async def test_wrong_faults_are_refused_by_name(market):
    for request, word in (
        ({"fault": "no-such"}, "no-such"),
        ({"fault": "kill-socket", "params": {"x": 1}}, "'x'"),
        ({"fault": "clock-skew", "params": {"seconds": "soon"}}, "seconds"),
        ({"fault": "clock-skew", "on": "reqNothing"}, "reqNothing"),
        ({"fault": "clock-skew", "at": "noon"}, "noon"),
        ({"fault": "clock-skew", "after": 1, "on": "connect"}, "one of"),
        ({"fault": "clock-skew", "nth": "x"}, "numbers"),
        ({"params": {}}, "fault: NAME"),
    ):
        reply = await market.control.raw("fault", **request)
        assert not reply["ok"]
        assert word in reply["error"]


def test_every_kind_can_be_made_and_has_its_line():
    assert len(KINDS) >= 27
    for name, kind in KINDS.items():
        assert kind.summary.endswith(".")
        assert make(name, {}).shown()["fault"] == name


def test_scripts_are_read_as_text(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text(
        "- {fault: kill-socket, at: 09:31}\n"
        "- {fault: connectivity-lost, after: 60, params: {restore: 1101, wall: yes}}\n"
    )
    with pytest.raises(InvalidInput, match="entry 2.*wall"):
        read_script(path)
    path.write_text(path.read_text().replace("yes", "true") + "- {fault: drop-ack, on: placeOrder}")
    timed, soon, asked = read_script(path)
    now = to_micros(datetime.fromisoformat("2022-12-29T14:31:00+00:00"))
    assert (timed.daily, to_iso(timed.moment(now))[:16]) == (True, "2022-12-30T14:31")
    assert soon.moment(now) == now + 60_000_000
    assert (asked.on, asked.moment(now)) == ("placeOrder", None)
    exact = Trigger("kill-socket", at="2022-12-29T20:00:00+00:00")
    assert (exact.daily, to_iso(exact.moment(0))[:16]) == (False, "2022-12-29T20:00")


@pytest.mark.parametrize("text", ["{", "fault: x", "- 5", "- {fault: kill-socket, when: 1}"])
def test_bad_scripts_say_what_is_wrong(tmp_path, text):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"faults\.yaml"):
        read_script(path)


SCRIPT = """
- {fault: partial-fill, at: "2022-12-29T14:35:30+00:00", params: {share: 0.3}}
- {fault: correct-execution, on: execution, params: {cents: 2, seconds: 7}}
- {fault: duplicate-status, after: 24000, params: {count: 3}}
- {fault: late-commission, on: placeOrder, nth: 2, params: {seconds: 20, count: 1}}
"""


async def scripted(gateway, control, client):
    await control.advance("14:35:00")
    async with client(gateway, clientId=1) as ib:
        await ib.qualifyContractsAsync(ib.ko)
        for second in range(5):
            ib.buy(100 + second)
            await ib.flushed()
            await control.advance(f"14:{35 + second // 3}:{(10 + second * 20) % 60:02}")
        await control.advance("14:45:00")
        await ib.flushed()
        return ib.of(STATUS, EXECUTION, COMMISSION)


async def test_one_script_and_seed_bring_the_same_day(
    start_gateway, open_control, client, tmp_path
):
    path = tmp_path / "faults.yaml"
    path.write_text(SCRIPT)
    seen = []
    for name, speed in (("a", "3600"), ("b", "500")):
        gateway = start_gateway(tmp_path / name, "--faults", str(path), "--speed", speed)
        seen.append(await scripted(gateway, await open_control(gateway), client))
        gateway.stop()
    assert any(fields[14].endswith(".02") for fields in seen[0] if fields[0] == EXECUTION)
    assert seen[0] == seen[1]
