"""Prefect's API: the server that `make serve` runs, or one of our own while it is needed."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput, RetryLater
from tasks.processes import Service, answers_http, free_port, module_command
from tasks.services.shared_server import SharedServer

if TYPE_CHECKING:
    from tasks.settings import Settings

START_DEADLINE = 120.0
LOCAL = "127.0.0.1"
API_URL, API_AUTH = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"


def api_url(port: int) -> str:
    """Return the URL of a Prefect API on this machine."""
    return f"http://{LOCAL}:{port}/api"


def auth_file(settings: Settings) -> Path:
    """Return where the credential of the served API is kept (readable by its owner only)."""
    return settings.prefect_home / "api-auth"


def served_credential(settings: Settings) -> str:
    """Return the credential of the served API, `user:password`, made on first use."""
    path = auth_file(settings)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"robo:{secrets.token_urlsafe(24)}\n")
        return path.read_text().strip()
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read or made ({error.strerror}); mend its folder's permissions, or "
            "set ROBO_HOME to a folder that is yours"
        ) from error


def start_server(
    settings: Settings, port: int, environment: Mapping[str, str], *options: str
) -> Service:
    """Start a Prefect server on loopback at `port`, without waiting for it."""
    command = module_command(
        "prefect", "server", "start", "--host", LOCAL, "--port", str(port), *options
    )
    where = {"PREFECT_SERVER_UI_API_URL": api_url(port)}  # what the pages of the UI call
    log = settings.prefect_home / "server.log"
    return Service.start("Prefect server", command, log, where | dict(environment))


def guarded_environment(settings: Settings, port: int) -> dict[str, str]:
    """Return what a server and its clients share: address, credential, CSRF protection."""
    credential = served_credential(settings)
    return {
        API_URL: api_url(port),
        API_AUTH: credential,
        "PREFECT_SERVER_API_AUTH_STRING": credential,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{LOCAL}:{port}",
    }


def is_up(port: int) -> bool:
    """Say whether a Prefect server answers on `port`."""
    return answers_http(f"{api_url(port)}/health")


def answers_at(url: str) -> bool:
    """Say whether a Prefect API answers at `url`."""
    return answers_http(f"{url.rstrip('/')}/health")


def is_ours(settings: Settings, port: int) -> bool:
    """Say whether a Prefect server on `port` takes our credential (another's may not)."""
    credential = served_credential(settings).encode() if auth_file(settings).exists() else b""
    header = {"Authorization": f"Basic {base64.b64encode(credential).decode()}"}
    return is_up(port) and answers_http(f"{api_url(port)}/admin/version", header)


@contextmanager
def prefect_api(settings: Settings) -> Iterator[str]:
    """Give the URL of a Prefect API that this process's flow runs are recorded with.

    The one that the operator names (PREFECT_API_URL), else the served one if it is up, else a
    server on a free port that verbs at work share: it ends with the last of them, and has the same
    database, so its runs stay. Must be entered before Prefect is imported.
    """
    named = os.environ.get(API_URL)
    if named:
        if not answers_at(named):
            raise RetryLater(
                f"no Prefect API answers at {API_URL}={named}; start it (`make serve`), or unset "
                "the variable and a server is started for this run"
            )
        yield named
        return
    if "prefect" in sys.modules:
        raise InvalidInput("Prefect is already imported; set PREFECT_API_URL before starting")
    if is_ours(settings, settings.prefect_port):
        with _environment({API_URL: api_url(settings.prefect_port)}, settings):
            yield api_url(settings.prefect_port)
        return
    shared = SharedServer(
        settings.prefect_home,
        lambda: _start_own(settings),
        lambda port: is_ours(settings, port),
        2 * START_DEADLINE,
    )
    with shared.use() as port, _environment({API_URL: api_url(port)}, settings):
        yield api_url(port)


@contextmanager
def running_api(settings: Settings) -> Iterator[str]:
    """Give the URL of the Prefect API that runs already, or nothing: none is started for this.

    Must be entered before Prefect is imported.
    """
    named = os.environ.get(API_URL)
    if named:
        yield named if answers_at(named) else ""
    elif is_ours(settings, settings.prefect_port):
        with _environment({API_URL: api_url(settings.prefect_port)}, settings):
            yield api_url(settings.prefect_port)
    else:
        yield ""


def _start_own(settings: Settings) -> tuple[int, Service]:
    """Start a server that only records, and return once it answers; stop it when it does not."""
    port = free_port()
    guarded = guarded_environment(settings, port)
    server = start_server(settings, port, guarded, "--no-scheduler", "--no-late-runs")
    try:
        server.wait_until(lambda: is_up(port), START_DEADLINE)
    except BaseException:
        server.stop()
        raise
    return port, server


@contextmanager
def _environment(values: dict[str, str], settings: Settings) -> Iterator[None]:
    if auth_file(settings).exists():
        values = values | {API_AUTH: served_credential(settings)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
