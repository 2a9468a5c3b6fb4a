"""What a refused request asks of the caller: another request, or patience."""

from __future__ import annotations

from models.domain.errors import InvalidInput, RetryLater

NO_SECURITY = 200
HISTORY = 162

# The request was in order; the gateway or its link was not ready for it.
_LATER = frozenset({100, 101, 322, 326, 420, 504, 1100, 1300, 2103, 2105, 2110, 10197})


class RequestRefused(InvalidInput):
    """The broker will not answer this request, however often it is made; `code` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class RequestPutOff(RetryLater):
    """The broker does not answer this request now (pacing, a lost link); `code` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def refusal(what: str, code: int, message: str) -> RequestRefused | RequestPutOff:
    """Return the error for a request for `what` that the broker answered with an error."""
    text = f"the broker refused the request for {what}: {code} {message}"
    if code in _LATER or (code == HISTORY and "pacing" in message.lower()):
        return RequestPutOff(code, f"{text}; wait a minute, then run it again")
    return RequestRefused(code, f"{text}; correct what was asked for, or the account's permissions")
