"""Run an execution session in a process of its own that ends without goodbye at a named point.

Arguments: one JSON object with the settings (`home`, `port`, `control_port` …) and `owner`, `name`,
`when` (before or after) and `occurrence` of the call at which the process dies.
"""

import asyncio
import json
import os
import sys
from threading import Event
from typing import Any

from models.risk.limits import RiskLimits
from tasks.broker.ibkr import OrderConnection
from tasks.session.sessions import ExecutionSession
from tasks.settings import load_settings
from tasks.stores import open_ledger

DIED = 86


def die_at(owner: Any, name: str, when: str, occurrence: int) -> None:
    """Let the process end before or after the n-th call of one method."""
    real, calls = getattr(owner, name), []

    def dying(*args: Any, **fields: Any) -> Any:
        calls.append(name)
        if len(calls) == occurrence and when == "before":
            os._exit(DIED)
        answer = real(*args, **fields)
        if len(calls) == occurrence:
            os._exit(DIED)
        return answer

    setattr(owner, name, dying)


def main() -> None:
    """Run the session; it ends with code 86 when it met its point."""
    plan = json.loads(sys.argv[1])
    settings = load_settings(**plan["settings"])
    with open_ledger(settings) as ledger:
        rooms = {"connection": OrderConnection}
        owner = rooms.get(plan["owner"]) or getattr(ledger, plan["owner"])
        die_at(owner, plan["name"], plan["when"], plan["occurrence"])
        session = ExecutionSession(
            settings=settings,
            ledger=ledger,
            limits=RiskLimits(max_order_quantity=100_000),  # as the session that goes on
            session=None,
            longest_wait=600.0,
            on_progress=lambda _progress: None,
            stop=Event(),
        )
        asyncio.run(session.run())


if __name__ == "__main__":
    main()
