"""Two looks at the account at once, each under an id of its own."""

import asyncio
import os
from datetime import UTC, datetime

import pytest

from models.domain.errors import RetryLater
from tasks.books.account_snapshot import read_account
from tasks.broker.ibkr import OrderConnection
from tasks.broker.roles import STEP, TURNS, Role, address
from tasks.leases.client_ids import leased_address
from tasks.leases.session_lease import id_name
from tasks.machine import machine

pytestmark = pytest.mark.journey


def test_a_second_look_takes_another_id_and_both_are_answered(settings, ledger):
    async def connected(where):
        link = await OrderConnection.open(where, settings.broker_timeout)
        try:
            return await asyncio.to_thread(read_account, settings)
        finally:
            await link.close()

    with leased_address(settings, Role.SNAPSHOT) as first:
        assert first == address(settings, Role.SNAPSHOT)
        seen = asyncio.run(connected(first))
        with leased_address(settings, Role.SNAPSHOT) as second:
            assert second == address(settings, Role.SNAPSHOT, 1)
    assert seen.account
    assert ledger.leases.held(datetime.now(UTC)) == (), "both were given back"


def test_ids_that_are_all_taken_are_told_and_those_of_the_dead_are_free(settings, ledger):
    def lease(turn, pid, host):
        name = id_name(address(settings, Role.HISTORY, turn))
        now = datetime.now(UTC)
        return ledger.leases.acquire(name, f"s{turn}", pid=pid, host=host, ttl=60, now=now)

    held = [lease(turn, 1, "elsewhere") for turn in range(TURNS)]
    with (
        pytest.raises(RetryLater, match=f"all {TURNS} client ids for a history.*pid 1 on else"),
        leased_address(settings, Role.HISTORY),
    ):
        pass
    ledger.leases.release(held[3])
    lease(3, 2**22 + 1, machine())  # beyond every process id
    with leased_address(settings, Role.HISTORY) as where:
        assert where == address(settings, Role.HISTORY, 3)


def test_no_role_ever_has_the_id_of_the_orders(settings):
    roles = (Role.HISTORY, Role.SNAPSHOT)
    met = settings.model_copy(update={"client_id": settings.data_client_id + 6})
    ids = [address(met, role, turn).client_id for role in roles for turn in range(TURNS)]
    assert not {met.client_id, met.data_client_id} & {*ids}
    assert len({*ids}) == 2 * TURNS
    halt = address(met, Role.HALT).client_id
    assert (halt - met.data_client_id - 3) // STEP == os.getpid() % TURNS
    assert halt not in ids
