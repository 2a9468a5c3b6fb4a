"""The recorder: a client works through it unchanged, and what is saved holds no account."""

import asyncio
import json
import subprocess
import sys

import pytest
from ib_async import IB, Stock
from typer.testing import CliRunner

from gateway.cli import app
from gateway.recorder import Masker, Recorder
from gateway.recordings import differences
from models.domain.errors import InvalidInput


@pytest.fixture
def recorder(shared_gateway, tmp_path):
    command = [sys.executable, "-m", "gateway", "record", "--listen", "0", "--out", str(tmp_path)]
    command += ["--to", f"127.0.0.1:{shared_gateway.port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield int(process.stdout.readline().split()[2].split(":")[1])
    process.terminate()
    process.wait(10)
    process.stdout.close()


async def session(port, client_id, symbol):
    ib = IB()
    await ib.connectAsync("127.0.0.1", port, client_id, timeout=5, raiseSyncErrors=True)
    await ib.reqContractDetailsAsync(Stock(symbol, "SMART", "USD"))
    ib.disconnect()
    await asyncio.sleep(0.1)


@pytest.mark.journey
async def test_a_session_through_the_recorder_is_saved_and_masked(recorder, tmp_path):
    await session(recorder, 61, "KO")
    await session(recorder, 62, "PFE")
    first, second = sorted(tmp_path.glob("*.jsonl"))
    text = first.read_text()
    assert "SIM0000001" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["versions"].startswith("v157..178")
    assert lines[1]["fields"][0] == "178"
    kinds = {(line["from"], line["fields"][0]) for line in lines if "fields" in line}
    assert {("client", "71"), ("gateway", "15"), ("client", "9"), ("gateway", "10")} <= kinds
    assert ["15", "1", "ACCOUNT1"] in [line.get("fields") for line in lines]
    assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    assert differences(first, second) == []
    shown = CliRunner().invoke(app, ["compare", str(first), str(second)])
    assert (shown.exit_code, "same layout" in shown.output) == (0, True)


def tape(path, *messages):
    lines = [{"t": 0.0, "from": side, "fields": fields} for side, fields in messages]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_differences_name_the_message_and_the_place(tmp_path):
    first = tape(
        tmp_path / "a.jsonl",
        ("client", ["9", "8", "1"]),
        ("gateway", ["59", "1", "0000e0d5.01", "1.0"]),
        ("gateway", ["49", "1", "1672"]),
    )
    second = tape(
        tmp_path / "b.jsonl",
        ("client", ["9", "8", "1", ""]),
        ("gateway", ["59", "1", "0000e0d5.01", "USD"]),
        ("gateway", ["49", "1", ""]),
    )
    assert differences(first, second) == [
        "client 9 (reqContractDetails): 3 fields against 4",
        "gateway 59 (commission_report): field 3 is number against text",
    ]
    shown = CliRunner().invoke(app, ["compare", str(first), str(second)])
    assert shown.exit_code == 1


def test_what_is_no_recording_is_refused_by_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"t": 0}\nnonsense\n')
    with pytest.raises(InvalidInput, match="line 2"):
        differences(path, path)
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        Recorder("4002", tmp_path)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("U1234567", "ACCOUNT1"),
        ("DU7654321,DU7654322", "ACCOUNT1,ACCOUNT2"),
        ("DF123456 and again DF123456", "ACCOUNT1 and again ACCOUNT1"),
        ("AAPL 20221229 0000e0d5.00000001.01", "AAPL 20221229 0000e0d5.00000001.01"),
    ],
)
def test_accounts_are_masked_each_by_a_name_of_its_own(text, masked):
    assert Masker().mask(text) == masked


def test_an_account_that_looks_like_none_is_masked_once_it_has_been_told():
    masker = Masker()
    masker.learn("trader-7,")
    assert masker.mask("balance of trader-7") == "balance of ACCOUNT1"
