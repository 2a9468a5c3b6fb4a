"""What `robo serve` runs: Prefect server and worker, MLflow's UI and the gateway, as one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.domain.errors import RetryLater
from tasks.places import project_root
from tasks.processes import Service, answers_http, module_command, require_free
from tasks.services.gateway_process import find_gateway, start_gateway
from tasks.services.prefect_api import LOCAL, guarded_environment, is_up, start_server
from tasks.services.restarts import RestartBudget

if TYPE_CHECKING:
    from tasks.settings import Settings

WORK_POOL = "robo"
SERVER_DEADLINE = 120.0
MLFLOW_DEADLINE = 90.0
GATEWAY_DEADLINE = 60.0
LOOK_EVERY = 0.5


@dataclass(slots=True)
class Stack:
    """The running services, started together and stopped together, last first."""

    settings: Settings
    say: Callable[[str], None]
    services: list[Service] = field(default_factory=list)
    gateway: Service | None = None
    restarts: RestartBudget = field(default_factory=RestartBudget)

    def check_ports(self) -> None:
        """Raise InvalidInput for the first port that is taken, before anything is started."""
        settings = self.settings
        require_free(LOCAL, settings.prefect_port, "the Prefect server", "ROBO_PREFECT_PORT")
        require_free(LOCAL, settings.mlflow_port, "the MLflow UI", "ROBO_MLFLOW_PORT")
        if settings.mode == "simulated":
            require_free(settings.host, settings.port, "the gateway's API", "ROBO_PORT")
            require_free(
                settings.host, settings.control_port, "the gateway's control", "ROBO_CONTROL_PORT"
            )

    def start(self) -> None:
        """Start everything and return once all of it answers."""
        settings = self.settings
        if settings.mode == "simulated":
            self.gateway = self._add(start_gateway(settings))
        server = self._add(
            start_server(settings, settings.prefect_port, self.prefect_environment())
        )
        mlflow = self._add(self._start_mlflow())
        server.wait_until(lambda: is_up(settings.prefect_port), SERVER_DEADLINE)
        self.say(f"Prefect UI   http://{LOCAL}:{settings.prefect_port}")
        self._prefect("work-pool", "create", WORK_POOL, "--type", "process", "--overwrite")
        self._prefect("deploy", "--all")
        self.say("deployments registered (prefect.yaml)")
        self._add(self._start_worker())
        mlflow.wait_until(
            lambda: answers_http(f"http://{LOCAL}:{settings.mlflow_port}/health"), MLFLOW_DEADLINE
        )
        self.say(f"MLflow UI    http://{LOCAL}:{settings.mlflow_port}")
        if settings.mode == "simulated":
            assert self.gateway is not None
            self.gateway.wait_until(lambda: find_gateway(settings) is not None, GATEWAY_DEADLINE)
            self.say(f"Gateway      {settings.host}:{settings.port} (simulated)")
        self._add(self._start_watchdog())
        self.say("Watchdog     ends the orders of a session that is gone without a word")

    def watch(self) -> None:
        """Return never; raise RetryLater, with the end of its log, when a service ends.

        A gateway that dies is started again, with the state that it has kept: sessions at work
        wait for it. One that was stopped on purpose (exit code 0) stays down until somebody runs
        `robo gateway run`.
        """
        while True:
            for service in list(self.services):
                if service.exit_code is not None:
                    self._see_end(service)
            time.sleep(LOOK_EVERY)

    def _see_end(self, service: Service) -> None:
        ended = f"{service.name} ended with code {service.exit_code}"
        if service is not self.gateway:
            raise RetryLater(f"{ended}; the end of its log {service.log}:\n{service.tail()}")
        if service.exit_code == 0:
            self.services.remove(service)
            self.say("the gateway was stopped; `robo gateway run` starts it again")
            return
        pause = self.restarts.next_pause(time.monotonic())
        if pause is None:
            raise RetryLater(
                f"{ended}, after {self.restarts.used} restarts in {self.restarts.window / 60:g} "
                f"minutes; the end of its log {service.log}:\n{service.tail()}"
            )
        nth = f"{self.restarts.used} of {self.restarts.most}"
        self.say(f"{ended}; starting it again in {pause:g} s (restart {nth})")
        time.sleep(pause)
        self.services.remove(service)
        if find_gateway(self.settings) is not None:
            self.say("a gateway that somebody else started runs in its place")
            return
        self.gateway = start_gateway(self.settings)
        self.services.insert(0, self.gateway)

    def stop(self) -> None:
        """Stop every service, last started first; all are asked before any is waited for."""
        for service in reversed(self.services):
            service.ask_to_stop()
        for service in reversed(self.services):
            service.stop()
        self.services.clear()

    def prefect_environment(self) -> dict[str, str]:
        """Return what server, worker and runs share."""
        return guarded_environment(self.settings, self.settings.prefect_port)

    def _add(self, service: Service) -> Service:
        self.services.append(service)
        return service

    def _start_mlflow(self) -> Service:
        settings = self.settings
        settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
        command = module_command(
            "mlflow",
            "server",
            "--host",
            LOCAL,
            "--port",
            str(settings.mlflow_port),
            "--workers",
            "1",
            "--backend-store-uri",
            settings.mlflow_uri,
            "--artifacts-destination",
            str(settings.mlflow_artifacts),
        )
        # Its job consumers, eight processes of 10 s of processor time each, serve nothing of ours.
        without_jobs = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        log = settings.mlflow_dir / "server.log"
        return Service.start("MLflow UI", command, log, without_jobs)

    def _start_worker(self) -> Service:
        command = module_command(
            "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"
        )
        log = self.settings.prefect_home / "worker.log"
        return Service.start("Prefect worker", command, log, self.prefect_environment())

    def _start_watchdog(self) -> Service:
        command = module_command("flows.cli", "watch")
        return Service.start("watchdog", command, self.settings.state_dir / "watchdog.log", {})

    def _prefect(self, *arguments: str) -> None:
        """Run one command of Prefect's own command line against the served API."""
        root = project_root()
        done = subprocess.run(
            module_command("prefect", "--no-prompt", *arguments),
            cwd=root,
            env=os.environ | self.prefect_environment() | {"PWD": str(root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RetryLater(
                f"`prefect {' '.join(arguments)}` failed with code {done.returncode}:\n"
                f"{(done.stdout + done.stderr)[-2000:]}"
            )
