"""Read the risk limits from their one file, `limits.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from models.domain.errors import InvalidInput
from models.risk.limits import RiskLimits


def load_limits(path: Path) -> RiskLimits:
    """Return the limits that `path` sets; whatever it leaves out keeps its default.

    Raises InvalidInput that names the file and, for a wrong entry, the key and its allowed range.
    A missing file is an error too: no one trades on limits that nobody wrote down.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} does not exist; restore it from the repository or set ROBO_LIMITS_FILE"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}); mend or replace it"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}); restore it") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}; mend that line") from None
    try:
        return RiskLimits.from_mapping(table)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None
