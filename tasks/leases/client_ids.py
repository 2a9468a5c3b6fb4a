"""API client ids of connections that only look: leased, so that two processes never share one.

A session leases its two with its own lease (`session_lease`). A halt waits for no ledger: its id
comes from its process id.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from models.domain.errors import RetryLater, RoboError, SkipToday
from tasks.broker.roles import TURNS, address
from tasks.leases.session_lease import id_name, is_running
from tasks.machine import machine
from tasks.stores import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.broker.protocol import ApiAddress
    from tasks.broker.roles import Role
    from tasks.settings import Settings
    from warehouse.ledger import OrderLedger
    from warehouse.ledger.leases import Lease

LIFE = 3600.0  # seconds; a process that ends without a word frees its id at once on one machine

_numbers = count(1)


@contextmanager
def leased_address(settings: Settings, role: Role) -> Iterator[ApiAddress]:
    """Yield where `role` connects, under the first of its client ids that nobody has leased.

    A ledger that cannot be opened or written holds up no look: the id is then the role's first,
    and the gateway refuses it if it is in use. Raises RetryLater when every id is leased.
    """
    try:
        ledger = open_ledger(settings)
    except RoboError:
        yield address(settings, role)
        return
    with ledger:
        where, lease = _free(settings, ledger, role)
        try:
            yield where
        finally:
            if lease is not None:
                ledger.leases.release(lease)


def _free(settings: Settings, ledger: OrderLedger, role: Role) -> tuple[ApiAddress, Lease | None]:
    holder = f"{role.value} connection {next(_numbers)}"
    taken = ""
    for turn in range(TURNS):
        where = address(settings, role, turn)
        try:
            lease = ledger.leases.acquire(
                id_name(where),
                holder,
                pid=os.getpid(),
                host=machine(),
                ttl=LIFE,
                now=datetime.now(UTC),
                pid_alive=is_running,
            )
        except SkipToday as error:
            taken = str(error)
        except RoboError:
            return where, None
        else:
            return where, lease
    raise RetryLater(f"all {TURNS} client ids for a {role.value} are in use, the last: {taken}")
