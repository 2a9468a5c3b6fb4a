"""Whatever is wrong on the way to a live-looking account ends before a message that trades.

The account is U1234567 at a simulated gateway; a recorder between keeps every message. One case in
which all agrees shows that the orders of the others would have gone through.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from models.domain.errors import HaltTrading, InvalidInput
from models.domain.orders import ParentState
from models.domain.sessions import exchange_date, next_session, session_on
from tasks.broker.clock import ask_control
from tasks.halts.flattening import FlattenOrder, flatten
from tasks.halts.halting import HaltOrder, halt_trading
from tasks.limits import load_limits
from tasks.live_config import live_fingerprint
from tasks.processes import Service, free_port, is_listening, module_command
from tasks.services.gateway_process import find_gateway
from tasks.session.sessions import ExecutionSession
from tasks.settings import load_settings
from warehouse.ledger import OrderLedger

pytestmark = pytest.mark.journey

LIVE = "U1234567"
# placeOrder, cancelOrder, replaceFA, exerciseOptions, reqGlobalCancel
TRADING = {"3", "4", "19", "21", "58"}
SHIPPED = Path(__file__).parents[2] / "limits.toml"


class Venue:
    """A gateway with a live-looking account, and the tape of all that clients say to it."""

    def __init__(self, folder):
        api, self.port, self.control_port = free_port(), free_port(), free_port()
        self.folder = folder
        launch = [sys.executable, str(Path(__file__).with_name("live_looking.py")), "run"]
        options = {"port": api, "control-port": self.control_port, "speed": 3600}
        words = [word for k, v in options.items() for word in (f"--{k}", str(v))]
        words += ["--state-dir", str(folder / "gateway")]
        self.gateway = Service.start("gateway", launch + words, folder / "gateway.log", {})
        there = load_settings(home=folder, port=api, control_port=self.control_port)
        self.gateway.wait_until(lambda: find_gateway(there) is not None, 60)
        record = ["record", "--listen", str(self.port), "--to", f"127.0.0.1:{api}"]
        command = module_command("gateway", *record, "--out", str(folder / "tapes"))
        self.recorder = Service.start("recorder", command, folder / "recorder.log", {})
        self.recorder.wait_until(lambda: is_listening("127.0.0.1", self.port), 30)

    def said(self):
        """The ids of all messages of clients so far."""
        lines = [
            json.loads(line)
            for tape in (self.folder / "tapes").glob("*")
            for line in tape.read_text().splitlines()
        ]
        return [
            line["fields"][0] for line in lines if line["from"] == "client" and "fields" in line
        ]

    def traded(self):
        return [one for one in self.said() if one in TRADING]

    def stop(self):
        self.recorder.stop()
        self.gateway.stop()


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    running = Venue(tmp_path_factory.mktemp("live"))
    yield running
    running.stop()


@pytest.fixture
def limits_file(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text(SHIPPED.read_text())
    return path


@pytest.fixture
def right(venue, tmp_path, limits_file):
    """Settings in which everything agrees; the gateway's clock, which no live setting may name."""
    plain = load_settings(
        mode="live",
        home=tmp_path / "home",
        port=venue.port,
        control_port=venue.control_port,
        account=LIVE,
        allow_live_account=f"U7654321, {LIVE}",
        live_armed_until=datetime.now(UTC) + timedelta(hours=8),
        limits_file=limits_file,
        slices=2,
        min_child_usd=0.0,
        quiet_period=10.0,
        broker_timeout=5.0,
    ).model_copy(update={"clock": "gateway"})
    return signed(plain)


def signed(settings):
    return settings.model_copy(update={"live_config": live_fingerprint(settings)})


def changed(**fields):
    return lambda right: right.model_copy(update=fields)


def changed_and_signed(**fields):
    return lambda right: signed(right.model_copy(update=fields))


def armed(**delta):
    return {"live_armed_until": datetime.now(UTC) + timedelta(**delta)}


def after_signing(act):
    def wrong(right):
        act(right.limits_path)
        return right

    return wrong


WRONG = {
    "as installed": changed(mode="simulated", account="", allow_live_account="",
                            live_armed_until=None, live_config=""),
    "simulated, the account expected": changed(mode="simulated"),
    "simulated, armed and allowed": changed(mode="simulated", account=""),
    "paper": changed(mode="paper", account="", allow_live_account="", live_armed_until=None),
    "paper, the account expected": changed(mode="paper"),
    "paper, armed and allowed": changed(mode="paper", account=""),
    "paper, a paper account expected": changed(mode="paper", account="DU1234567"),
    "no account allowed": changed_and_signed(allow_live_account=""),
    "another account allowed": changed_and_signed(allow_live_account="U7654321"),
    "a part of the id allowed": changed_and_signed(allow_live_account="U123456"),
    "a longer id allowed": changed_and_signed(allow_live_account="U12345678"),
    "a pattern allowed": changed_and_signed(allow_live_account="U*"),
    "all allowed": changed_and_signed(allow_live_account="*,all,any"),
    "the id in small letters": changed_and_signed(allow_live_account=LIVE.lower()),
    "the id with another separator": changed_and_signed(allow_live_account=f"{LIVE};U7654321"),
    "another account expected": changed_and_signed(account="U7654321"),
    "not armed": changed(live_armed_until=None),
    "armed until a moment ago": changed(**armed(seconds=-1)),
    "armed until yesterday": changed(**armed(days=-1)),
    "armed for ever": changed(**armed(days=3650)),
    "armed for more than a day": changed(**armed(hours=25)),
    "not signed": changed(live_config=""),
    "signed with a guess": changed(live_config="0" * 16),
    "signed for other slices": changed(slices=3),
    "signed for another universe": changed(universe=("KO", "PEP")),
    "signed before a limit changed": after_signing(
        lambda path: path.write_text(path.read_text().replace("50_000.0", "900_000.0"))),
    "signed, the limits file gone": after_signing(Path.unlink),
}  # fmt: skip


def run_session(settings, ledger):
    limits = load_limits(SHIPPED)
    session = ExecutionSession(
        settings=settings, ledger=ledger, limits=limits, session=None, longest_wait=3600.0,
        on_progress=lambda _: None, stop=Event(),
    )  # fmt: skip
    asyncio.run(session.run())


@pytest.fixture
def ledger(tmp_path, venue, make_parent):
    """A ledger with one order for the present session, or for the next one."""
    now = datetime.fromisoformat(
        ask_control("127.0.0.1", venue.control_port, {"op": "time"})["now"]
    )
    day = session_on(exchange_date(now))
    if day is None or now > day.open:
        day = next_session(exchange_date(now))
    start = day.open + timedelta(minutes=2)
    span = SimpleNamespace(session=day.date, start=start, end=start + timedelta(minutes=10))
    with OrderLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        opened.parents.add([make_parent(span, "KO", quantity=20)])
        yield opened


@pytest.mark.parametrize("way", WRONG)
def test_no_wrong_way_leads_to_a_message_that_trades(venue, right, ledger, way):
    wrong = WRONG[way](right)
    before, traded = len(venue.said()), len(venue.traded())
    for act in (run_session, flatten_all):
        with pytest.raises((HaltTrading, InvalidInput)) as refused:
            act(wrong, ledger)
        assert LIVE not in str(refused.value)
    assert len(venue.said()) > before, "it did connect: the account was read from the gateway"
    assert len(venue.traded()) == traded
    assert ledger.halts.resume("next", "tester", datetime.now(UTC))
    assert ledger.parents.latest_session() is not None
    assert ledger.children.open_children(LIVE) == ()


def flatten_all(settings, ledger):
    ledger.halts.halt("enough", "tester", datetime.now(UTC))
    order = FlattenOrder("tester", "enough", everything=True)
    asyncio.run(flatten(settings, ledger, load_limits(SHIPPED), order, lambda _: None))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"mode": "LIVE"}, "ROBO_MODE"),
        ({"mode": "production"}, "ROBO_MODE"),
        ({"live_armed_until": "2030-01-01T00:00:00"}, "ROBO_LIVE_ARMED_UNTIL"),
        ({"live_armed_until": "tomorrow"}, "ROBO_LIVE_ARMED_UNTIL"),
        ({"clock": "gateway"}, "ROBO_CLOCK is gateway in mode live"),
        ({"port": 70_000}, "ROBO_PORT"),
    ],
)
def test_settings_that_cannot_be_meant_are_not_read_at_all(fields, text):
    with pytest.raises(InvalidInput, match=text):
        load_settings(**({"mode": "live"} | fields))


@pytest.mark.parametrize("mode", ["simulated", "paper"])
def test_a_halt_of_another_mode_does_not_touch_the_account(venue, right, mode):
    other, traded = right.model_copy(update={"mode": mode, "account": ""}), len(venue.traded())
    done = halt_trading(other, HaltOrder("enough", "tester"))
    assert "working orders could NOT be cancelled: not trading" in done.trouble
    assert LIVE not in done.trouble
    assert len(venue.traded()) == traded


def test_when_everything_agrees_the_order_goes_out(venue, right, ledger):
    """It shows that the others could have failed."""
    run_session(right, ledger)
    assert venue.traded().count("3") == 2
    [record] = ledger.parents.of_session(ledger.parents.latest_session())
    assert record.state is ParentState.FILLED
    expired = right.model_copy(update=armed(seconds=-1))
    assert halt_trading(expired, HaltOrder("stop", "tester")).trouble == ""
    assert venue.traded().count("58") == 1, "who may no longer trade may still stop"
