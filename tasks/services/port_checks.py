"""Who has the ports of this system: nobody, our own services, or a foreign program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.errors import RoboError
from tasks.processes import answers_http, is_listening
from tasks.services.findings import Finding, Health

if TYPE_CHECKING:
    from tasks.settings import Settings

LOCAL = "127.0.0.1"


def check_prefect_port(settings: Settings) -> Finding:
    """Say whether the served Prefect API is up, and is the one of this home."""
    from tasks.services.prefect_api import api_url, is_ours, is_up

    subject, port = "Prefect API", settings.prefect_port
    if not is_listening(LOCAL, port):
        seen = f"no server on port {port}; verbs start one for themselves"
        return Finding(subject, Health.ABSENT, seen, "make serve runs it with worker and UIs")
    mend = "stop that program, or set ROBO_PREFECT_PORT to a free port"
    if not is_up(port):
        return _foreign(subject, port, "no Prefect server", mend)
    if not is_ours(settings, port):
        seen = f"the Prefect server on port {port} refuses this home's credential"
        return Finding(subject, Health.BROKEN, seen, mend)
    return Finding(subject, Health.OK, api_url(port))


def check_mlflow_port(settings: Settings) -> Finding:
    """Say whether the MLflow UI is up."""
    subject, port = "MLflow UI", settings.mlflow_port
    if not is_listening(LOCAL, port):
        return Finding(subject, Health.ABSENT, f"no server on port {port}", "make serve runs it")
    # Any web server may answer /health; /version with a version number is MLflow's.
    if not answers_http(f"http://{LOCAL}:{port}/version"):
        mend = "stop that program, or set ROBO_MLFLOW_PORT to a free port"
        return _foreign(subject, port, "no MLflow", mend)
    return Finding(subject, Health.OK, f"http://{LOCAL}:{port}")


def check_control_port(settings: Settings) -> Finding:
    """Say whether the port by which market time is moved is the simulated gateway's."""
    from tasks.services.gateway_process import find_gateway

    subject, port = "gateway control", settings.control_port
    if settings.mode != "simulated":
        return Finding(subject, Health.OK, f"not needed in mode {settings.mode}")
    if not is_listening(settings.host, port):
        return Finding(subject, Health.ABSENT, f"nothing on port {port}", "robo gateway run")
    try:
        hello = find_gateway(settings)
    except (RoboError, ValueError):
        hello = None
    if hello is None:
        mend = "stop that program, or set ROBO_CONTROL_PORT to a free port"
        return _foreign(subject, port, "no simulated gateway", mend)
    return Finding(subject, Health.OK, f"market time {hello.now:%Y-%m-%d %H:%M} UTC")


def _foreign(subject: str, port: int, what: str, mend: str) -> Finding:
    return Finding(subject, Health.BROKEN, f"port {port} is held by a program that is {what}", mend)
