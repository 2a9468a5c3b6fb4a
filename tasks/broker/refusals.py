"""What a refused request asks of the caller: another request, or patience."""

from __future__ import annotations

from models.domain.errors import InvalidInput
from tasks.broker.codes import Reaction, reaction_to
from tasks.broker.protocol import GatewayNotReady

NO_SECURITY = 200
HISTORY = 162

FARMS_BROKEN = frozenset({2103, 2105, 2157})  # of a request the answer; else only worth a line


class RequestRefused(InvalidInput):
    """The broker will not answer this request, however often it is made; `code` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class RequestPutOff(GatewayNotReady):
    """The broker does not answer this request now (pacing, a lost link); `code` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def refusal(what: str, code: int, message: str) -> RequestRefused | RequestPutOff:
    """Return the error for a request for `what` that the broker answered with an error."""
    text = f"the broker refused the request for {what}: {code} {message}"
    if _is_for_later(code) or (code == HISTORY and "pacing" in message.lower()):
        return RequestPutOff(code, f"{text}; wait a minute, then run it again")
    return RequestRefused(code, f"{text}; correct what was asked for, or the account's permissions")


def _is_for_later(code: int) -> bool:
    """Say whether the request was in order, and the gateway or its link was not ready for it."""
    return reaction_to(code) is Reaction.RETRY_LATER or code in FARMS_BROKEN
