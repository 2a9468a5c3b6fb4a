"""The broker client's own log: what it repeats of our errors is kept off the terminal."""

from __future__ import annotations

import logging

CLIENT = "ib_async"

logger = logging.getLogger("robo.broker")


class ClientLog(logging.Handler):
    """Pass a defect of the client on with its traceback; keep the rest for debugging.

    Error codes, refused connections and lost links reach the caller as errors or as evidence, in
    words that say what to do; the client's lines about the same would only stand beside them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record of the client again, as ours."""
        level = logging.ERROR if record.exc_info else logging.DEBUG
        logger.log(level, "%s: %s", record.name, record.getMessage(), exc_info=record.exc_info)


def take_client_log() -> None:
    """Let the client's records go through `ClientLog` and nowhere else."""
    client = logging.getLogger(CLIENT)
    client.propagate = False
    if not any(isinstance(handler, ClientLog) for handler in client.handlers):
        client.addHandler(ClientLog())
