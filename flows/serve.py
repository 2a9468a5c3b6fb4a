"""Serve: the whole stack in the foreground; it starts together and stops together."""

from __future__ import annotations

import signal
from types import FrameType

import typer

from tasks.services.prefect_api import auth_file
from tasks.services.services import Stack
from tasks.settings import load_settings, quiet_dependencies


def run_stack() -> None:
    """Start every service, say where each is, and wait; Ctrl-C or SIGTERM stops all of them."""
    settings = load_settings()
    quiet_dependencies(settings)
    stack = Stack(settings, typer.echo)
    stack.check_ports()
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        typer.echo("starting Prefect server and worker, MLflow UI and gateway (about 30 s)")
        stack.start()
        typer.echo(f"Prefect asks for a credential: it is in {auth_file(settings)} (only yours)")
        typer.echo("everything runs; stop it with Ctrl-C")
        stack.watch()
    except KeyboardInterrupt:
        typer.echo("stopping")
    finally:
        stack.stop()
        typer.echo("stopped")


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
