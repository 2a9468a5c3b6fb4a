"""The answer to a request that the broker does not accept."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - an answer with a code, not a fault of the program
    """A TWS error: its documented code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
