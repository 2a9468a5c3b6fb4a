"""Record ticks until killed, telling after every flush how many rows are safe.

Arguments: the gateway's port, its control port, and a home.
"""

import asyncio
import sys
from pathlib import Path
from threading import Event

from tasks.market_data import recording
from tasks.settings import load_settings


class Telling(recording.Recorder):
    async def flush(self) -> None:
        await super().flush()
        print(sum(self.counts.values()), flush=True)


port, control, home = sys.argv[1:]
recording.Recorder = Telling
chosen = load_settings(home=Path(home), port=int(port), control_port=int(control))
asyncio.run(
    recording.record_ticks(chosen, ["KO", "PEP"], lambda _text: None, Event(), depth_rows=3)
)
