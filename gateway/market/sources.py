"""The `--source` option: which market a gateway plays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.market.source import Source

FORMS = "simulated, bars:FILE or lobster:MESSAGES,BOOK"


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """What `--source` says: a kind and the files that it reads."""

    kind: str
    files: tuple[Path, ...] = ()


def read_choice(text: str) -> SourceChoice:
    """Understand `simulated`, `bars:FILE` or `lobster:MESSAGES,BOOK`.

    Raises InvalidInput for anything else, and for a file that is not there.
    """
    kind, _, rest = text.partition(":")
    names = tuple(Path(name.strip()) for name in rest.split(",") if name.strip())
    wanted = {"simulated": 0, "bars": 1, "lobster": 2}.get(kind)
    if wanted is None or len(names) != wanted:
        raise InvalidInput(f"--source {text} is not understood; give {FORMS}")
    for name in names:
        if not name.is_file():
            raise InvalidInput(f"--source {text}: there is no file {name}; give {FORMS}")
    return SourceChoice(kind, names)


def open_source(choice: SourceChoice, seed: int) -> Source:
    """Return the market that was chosen; raise InvalidInput when a file cannot be played."""
    if choice.kind == "bars":
        from gateway.market.replay import Replay

        return Replay(seed, choice.files[0])
    if choice.kind == "lobster":
        from gateway.market.lobster import LobsterReplay

        return LobsterReplay(seed, *choice.files)
    from gateway.market.closes import Closes
    from gateway.market.source import Simulated

    return Simulated(seed, Closes(seed))
