"""An import finds the Prefect server that runs already, and starts none."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tasks.services.prefect_api import running_api
from tasks.settings import load_settings


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Healthy) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_the_named_server_is_used_while_it_answers(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path)
    url = f"http://127.0.0.1:{server.server_port}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    with running_api(settings) as found:
        assert found == url
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with running_api(settings) as found:
        assert not found


def test_without_a_served_one_there_is_none(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with running_api(load_settings(home=tmp_path, prefect_port=server.server_port)) as found:
        assert not found  # a server answers there, and does not take our credential
