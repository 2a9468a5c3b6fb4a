"""A strict reading of `.env`: whatever cannot be used is an error, never skipped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from models.domain.errors import InvalidInput

LARGEST_FILE = 1_000_000  # bytes; a .env beyond it is another file by mistake


def read_dotenv(path: Path, prefix: str, known: set[str]) -> dict[str, str]:
    """Return the variables of a `.env` file that start with `prefix`, upper-cased; {} without one.

    Other variables are left alone. Raises InvalidInput, with the line number, for an unreadable or
    binary file, a line that is no NAME=value, a name given twice and a name not in `known`.
    """
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{path} is larger than {LARGEST_FILE} bytes; it is no .env file")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}); mend or remove it") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8 text (byte {error.start}); restore it from .env.example"
        ) from None
    if "\x00" in text:
        raise InvalidInput(f"{path} holds binary data; restore it from .env.example")
    return _collect(path, text, prefix, known)


def _collect(path: Path, text: str, prefix: str, known: set[str]) -> dict[str, str]:
    from io import StringIO

    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        line = _line_of(binding)
        if binding.error or (binding.key is not None and binding.value is None):
            raise InvalidInput(
                f"{path} line {line} is not NAME=value; mend it, or restore it from .env.example"
            )
        name = (binding.key or "").upper()
        if not name.startswith(prefix):
            continue
        refuse_unknown([name], known, f"{path} line {line}")
        if name in found:
            raise InvalidInput(f"{path} line {line} sets {name} a second time; keep one")
        found[name] = binding.value or ""
    return found


def _line_of(binding: Binding) -> int:
    leading = len(binding.original.string) - len(binding.original.string.lstrip())
    return binding.original.line + binding.original.string[:leading].count("\n")


def refuse_unknown(names: Iterable[str], known: set[str], where: str) -> None:
    """Raise InvalidInput for the first name that no setting has, suggesting the nearest one."""
    for name in names:
        if name.upper() in known:
            continue
        near = difflib.get_close_matches(name.upper(), sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "see .env.example for all names"
        raise InvalidInput(f"{name} in {where} is not a setting; {hint}")
