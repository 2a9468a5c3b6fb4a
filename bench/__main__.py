"""Run benchmarks: `python -m bench [FOLDER ...]` prints one JSON line a figure.

Exit code 0 when every figure could be measured (goals met or not), 1 when one could not, 2 for an
unknown folder.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType

import bench


def folders() -> list[str]:
    """Return the names of the folders that hold benchmarks."""
    return sorted(found.name for found in pkgutil.iter_modules(bench.__path__) if found.ispkg)


def modules(folder: str) -> Iterator[ModuleType]:
    """Import, one after the other, the modules of a folder; each has a `measure()`."""
    package = importlib.import_module(f"bench.{folder}")
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        yield importlib.import_module(f"bench.{folder}.{found.name}")


def main(arguments: list[str] | None = None) -> int:
    """Measure the chosen folders (all without a choice) and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("folder", nargs="*", help=f"one of {', '.join(folders())}; none for all")
    chosen: list[str] = parser.parse_args(arguments).folder
    unknown = [name for name in chosen if name not in folders()]
    if unknown:
        print(
            f"no benchmarks are called {', '.join(unknown)}; choose among {', '.join(folders())}",
            file=sys.stderr,
        )
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that started processes are ended
    failed = False
    for folder in chosen or folders():
        for module in modules(folder):
            try:
                for figure in module.measure():
                    print(figure.line(), flush=True)
            except Exception:
                failed = True
                print(f"{module.__name__} could not be measured:", file=sys.stderr)
                traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
