"""Fork Python programs from one process that has imported all that they need.

A gateway of its own takes two seconds of processor time to import numpy, scipy and the exchange's
calendar, and a verb that Prefect records takes five; forked, they take a tenth of that, and are
processes with their own ids, groups, sockets and signals all the same.

Argument 1 is the socket, argument 2 the kind: `gateway`, whose programs are the arguments of
`gateway`, or `robo`, whose programs are what one writes after `python`. A request is one message:
a JSON object (`arguments`; for robo also `environment` and `folder`), with two file descriptors for
output and errors. The answer is the process id on one line, and the exit code, as `subprocess`
tells it, on another when it ends. Argument 3, of robo alone, is a file that its users hold a lock
of: it ends with the last of them, and with it the Prefect server that it runs for them.
"""

import fcntl
import gc
import importlib
import json
import os
import random
import runpy
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from datetime import date
from pathlib import Path

VERBS = (
    *("flows.cli", "flows.execute", "flows.ingest", "flows.rebalance", "flows.reconcile"),
    *("flows.recorded_run", "flows.tables", "tasks.quality.engine", "tasks.session.sessions"),
    *(
        "tasks.books.reconciliation",
        "tasks.books.status",
        "gateway.server",
        "prefect.cli",
        "scipy.special",
    ),
)


def serve(path, become, is_used=lambda: True):
    """Fork one program for every connection for as long as the nursery is used."""
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        unready = Path(f"{path}.new")
        listening.bind(str(unready))
        listening.listen()
        listening.settimeout(1)
        unready.rename(path)  # whoever sees it can connect
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while is_used():
            with suppress(TimeoutError):
                link, _ = listening.accept()
                link.setblocking(True)
                if os.fork() == 0:
                    listening.close()
                    watch(link, become)
                link.close()


def watch(link, become):
    """Fork the program and tell how it ends; it has to be waited for by its parent."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said, files, _, _ = socket.recv_fds(link, 1 << 18, 2)
    pid = os.fork()
    if pid == 0:
        for number, file in zip((1, 2), files, strict=True):
            os.dup2(file, number)
            os.close(file)
        os.setsid()
        link.sendall(f"{os.getpid()}\n".encode())
        link.close()
        become(**json.loads(said))
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    link.sendall(f"{code}\n".encode())
    os._exit(0)


def become_gateway(arguments):
    """Run the command line as `python -m gateway` would."""
    code = 1
    try:
        gateway_app(arguments, prog_name="gateway")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def become_program(arguments, environment, folder):
    """Run a module (`-m name ...`) or a script as `python` would, to the interpreter's own end."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    random.seed()
    read_prefect_settings_anew()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.modules.pop(arguments[1], None)  # runpy warns of what was imported before
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    sys.exit(0)


def read_prefect_settings_anew():
    """Have Prefect see this process's environment, and again what a verb has added to it."""
    from prefect.context import refresh_global_settings_context

    import flows.recorded_run

    if "PREFECT_HOME" in os.environ:  # else a verb sets it
        refresh_global_settings_context()
    real = flows.recorded_run.recorded_run

    def recorded_run(work, settings):
        refresh_global_settings_context()
        return real(work, settings)

    flows.recorded_run.recorded_run = recorded_run


def serve_programs(path, users):
    """Run a Prefect server, import what verbs need, and fork them until nobody uses this."""
    folder = Path(path).parent
    own = {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "true"}
    own |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    os.environ.update(own)
    server, url = start_prefect()
    me = os.getpid()
    try:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "WARNING"
        importlib.import_module("tasks.settings").quiet_dependencies()
        for name in VERBS:
            importlib.import_module(name)
        importlib.import_module("tasks.quality.engine").warm_up()
        read_calendar()
        while not answers(f"{url}/health"):
            assert server.poll() is None, "the Prefect server of the tests did not start"
            time.sleep(0.1)
        keep_fresh_database(folder / "prefect" / "prefect.db", folder / "fresh.db")
        (folder / "prefect-url").write_text(url)
        serve(path, become_program, lambda: is_locked(users))
    finally:
        if os.getpid() == me:  # the forked come here too
            server.kill()
            shutil.rmtree(folder, ignore_errors=True)


def start_prefect():
    """Start a server on a free port, without waiting for it.

    It records runs and does nothing of its own: what schedules, triggers and watches would only
    take processor time from the tests. Journeys that need that start a server of their own.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-services"]
    command = [sys.executable, "-m", "prefect", "server", "start", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, f"http://127.0.0.1:{port}/api"


def keep_fresh_database(path, copy):
    """Copy a database that has all of its tables and no run yet: to make one takes 4 s."""
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)


def answers(url):
    """Say whether an HTTP GET succeeds."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
        return reply.status == 200
    return False


def is_locked(path):
    """Say whether somebody holds a lock of a file; if nobody does, keep it from now on."""
    file = open(path, "a")  # noqa: PTH123 - the lock lasts as long as the process
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return True
    LAST.append(file)
    return False


LAST = []


def read_calendar():
    """Read the exchange's calendar, which takes a second."""
    importlib.import_module("gateway.timeline").span_on(date(2022, 12, 29))


if __name__ == "__main__":
    if sys.argv[2] == "robo":
        serve_programs(sys.argv[1], sys.argv[3])
    else:
        import scipy.special  # noqa: F401 - so that no gateway needs to

        from gateway.cli import app as gateway_app

        importlib.import_module("gateway.server")
        read_calendar()
        serve(sys.argv[1], become_gateway)
