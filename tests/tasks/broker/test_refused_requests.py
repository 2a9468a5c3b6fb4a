"""Every refusal of a request is one of our errors, naming the request and the code."""

import pytest
from ib_async import RequestError

from models.domain.errors import InvalidInput, RetryLater
from tasks.broker.ibkr import Connection, EvidenceIB
from tasks.broker.refusals import refusal


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (162, "Historical Market Data Service error message:pacing violation", RetryLater),
        (162, "No market data permissions for NYSE STK", InvalidInput),
        (321, "Error validating request", InvalidInput),
        (100, "Max rate of messages per second has been exceeded", RetryLater),
        (10197, "No market data during competing live session", RetryLater),
        (99999, "something new", InvalidInput),
    ],
)
async def test_a_request_error_joins_the_tree(code, message, kind):
    connection = Connection(EvidenceIB(), "127.0.0.1:1", 1.0)

    async def refused():
        raise RequestError(7, code, message)

    with pytest.raises(kind, match=rf"the request for executions: {code} ") as caught:
        await connection._call(refused, "executions")
    assert message in str(caught.value)
    assert caught.value.code == code == refusal("x", code, message).code
