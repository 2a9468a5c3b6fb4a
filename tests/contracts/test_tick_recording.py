"""The recorder on a real gateway: killed in the middle without losing what was safe, then whole."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from models.domain.errors import InvalidInput
from tasks.market_data.recording import FLUSH, RecordReport, record_ticks
from tasks.settings import Settings
from warehouse.market.ticks import KINDS, TickFiles


def _recorded(settings: Settings, symbols: tuple[str, ...], minutes: float) -> RecordReport:
    return asyncio.run(
        record_ticks(settings, symbols, lambda _text: None, Event(), depth_rows=3, minutes=minutes)
    )


def _killed_recorder(settings: Settings) -> int:
    """Kill -9 a recorder in the middle; return how many rows it had told to be safe."""
    script = Path(__file__).with_name("recording_process.py")
    ports = (str(settings.port), str(settings.control_port), str(settings.home))
    recorder = subprocess.Popen(
        [sys.executable, str(script), *ports], stdout=subprocess.PIPE, text=True
    )
    safe = 0
    for line in recorder.stdout:
        safe = int(line)
        if safe > 500:
            break
    recorder.kill()
    recorder.wait()
    return safe


def test_a_killed_recorder_loses_nothing_that_was_flushed(start_gateway: Callable) -> None:
    assert FLUSH < 1.0
    gateway = start_gateway("gateway", "--no-pacing")  # or the second recorder waits 15 s
    settings = gateway.settings
    safe = _killed_recorder(settings)
    files = TickFiles(settings.ticks_dir)
    assert safe > 500 and not list(files.folder.rglob("*.parquet"))  # all is in journals still
    with pytest.raises(InvalidInput, match="NOSUCH"):
        _recorded(settings, ("NOSUCH",), 1)
    seen = sorted(seq for kind in KINDS for seq in files.read(kind)["seq"].tolist())
    assert seen == list(range(1, len(seen) + 1)) and len(seen) >= safe  # whole, without a hole
    before, begin = files.read("trades"), gateway.now
    report = _recorded(settings, ("KO", "PEP"), 30)
    assert report.recovered == 0 == report.interruptions and not report.refused
    assert len(files.read("trades")) == len(before) + report.rows["trades"]
    for kind in KINDS:
        found = files.read(kind).iloc[-report.rows[kind] :]
        assert report.rows[kind] > 0 and set(files.read(kind)["symbol"]) == {"KO", "PEP"}
        assert found["ts"].max() >= begin.replace(microsecond=0)
    quotes = files.read("quotes")
    assert (files.read("trades")["price"] > 0).all()
    assert (quotes["bid"] < quotes["ask"]).mean() > 0.99
    assert not list((files.folder / "journal").iterdir())
