"""Fork gateways from one process that has imported all that they need.

A gateway of its own takes two seconds of processor time to import numpy, scipy and the exchange's
calendar; forked, it takes a tenth of that, and is a process with its own id, sockets and signals
all the same. A request is one message on the socket of argument 1: a JSON list of arguments, with
two file descriptors for its output and errors. The answer is its process id on one line, and its
exit code, as `subprocess` tells it, on another when it ends.
"""

import gc
import json
import os
import signal
import socket
import sys
from datetime import date
from pathlib import Path

import scipy.special  # noqa: F401 - so that no gateway needs to

import gateway.server
from gateway.cli import app


def serve(path):
    """Fork one gateway for every connection until whoever started this one goes away."""
    gateway.timeline.span_on(date(2022, 12, 29))  # reads the calendar
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        unready = Path(f"{path}.new")
        listening.bind(str(unready))
        listening.listen()
        unready.rename(path)  # whoever sees it can connect
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            link, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                watch(link)
            link.close()


def watch(link):
    """Fork the gateway and tell how it ends; it has to be waited for by its parent."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said, files, _, _ = socket.recv_fds(link, 1 << 16, 2)
    pid = os.fork()
    if pid == 0:
        link.close()
        become(json.loads(said), files)
    for file in files:
        os.close(file)
    link.sendall(f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    link.sendall(f"{code}\n".encode())
    os._exit(0)


def become(arguments, files):
    """Run the command line as `python -m gateway` would."""
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)
        os.close(file)
    code = 1
    try:
        app(arguments, prog_name="gateway")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
