"""The broker client repeats our errors in its own log: only its defects are shown."""

import logging

from tasks.broker.client_log import ClientLog, take_client_log


def test_repeated_errors_are_for_debugging_and_defects_are_shown(caplog, monkeypatch):
    for name in ("robo", "robo.broker", "ib_async", "ib_async.wrapper"):  # as in a new process
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    caplog.set_level(logging.DEBUG, logger="robo.broker")
    take_client_log()
    take_client_log()
    client = logging.getLogger("ib_async.wrapper")
    client.error("Error 200, reqId 3: No security definition has been found")
    try:
        raise ValueError("field 7")
    except ValueError:
        client.exception("Error handling fields")
    ours = [record for record in caplog.records if record.name == "robo.broker"]
    assert [record.levelno for record in ours] == [logging.DEBUG, logging.ERROR]
    assert "Error 200" in ours[0].getMessage()
    assert ours[1].exc_info is not None
    assert not logging.getLogger("ib_async").propagate, "nothing of it reaches the terminal"
    handlers = logging.getLogger("ib_async").handlers
    assert [type(handler) for handler in handlers].count(ClientLog) == 1
