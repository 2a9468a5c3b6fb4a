"""Load the champion without running code from its artifact, and only if every byte is known.

MLflow's loaders execute what an artifact names (a pickle, a `loader_module`, files under `code/`).
So the SHA-256 of every file is recorded in the order ledger at promotion, outside the artifact
store; loading checks all of them, refuses anything else, and gives the verified bytes of
LightGBM's own text format to LightGBM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import HaltTrading, InvalidInput
from tasks.tracking import MODEL_FILE, ModelVersion, Tracker

if TYPE_CHECKING:
    from lightgbm import Booster

    from warehouse.ledger import OrderLedger

# What MLflow writes for a native booster; nothing else is ever promoted.
EXPECTED_FILES = frozenset(
    {"MLmodel", "conda.yaml", MODEL_FILE, "python_env.yaml", "requirements.txt"}
)
LARGEST_FILE = 200_000_000  # bytes


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified champion: its version, its booster and the features it expects, in order."""

    version: ModelVersion
    booster: Booster
    features: tuple[str, ...]


def manifest_version(version: ModelVersion) -> str:
    """Return the version under which the ledger keeps a manifest.

    MLflow counts from 1 again when its store is made anew; the model's own id never repeats.
    """
    return f"{version.version}:{version.model_id}"


def promote(
    tracker: Tracker,
    ledger: OrderLedger,
    version: ModelVersion,
    booster: Booster,
    *,
    metrics: Mapping[str, float],
    at: datetime,
) -> dict[str, str]:
    """Record the hashes of a version's files in the ledger, then make it the champion.

    `booster` is the one just trained: the stored model must be it, to the byte. Returns the hashes
    by file name. Raises HaltTrading when the stored files are not what was logged.
    """
    from models.alpha.ranker import booster_to_text

    contents = _read_folder(tracker.model_folder(version), version)
    if set(contents) != EXPECTED_FILES:
        raise HaltTrading(
            f"{version.label} holds {sorted(contents)}, expected {sorted(EXPECTED_FILES)}; it is "
            "not promoted: somebody else writes to mlruns, or MLflow changed its format"
        )
    if contents[MODEL_FILE] != booster_to_text(booster).encode():
        raise HaltTrading(
            f"{MODEL_FILE} of {version.label} is not the booster that was trained; it is not "
            "promoted: find out who else writes to mlruns"
        )
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    ledger.models.record_manifest(
        version.name,
        manifest_version(version),
        hashes,
        run_id=version.run_id,
        metrics=dict(metrics),
        at=at,
    )
    tracker.promote(version)
    return hashes


def load_champion(tracker: Tracker, ledger: OrderLedger) -> LoadedModel:
    """Return the champion after checking each of its files against the ledger's manifest.

    Raises InvalidInput when there is no champion (with the reason of the last candidate), and
    HaltTrading when a file was changed, added, removed or has no recorded hash.
    """
    from models.alpha.ranker import booster_from_text

    version = tracker.champion()
    if version is None:
        raise InvalidInput(_no_champion(tracker.latest()))
    manifest = ledger.models.manifest(version.name, manifest_version(version))
    if manifest is None:
        raise _refuse(version, "the ledger has no manifest of it: it was never promoted here")
    contents = _read_folder(tracker.model_folder(version), version)
    _compare(version, contents, manifest.files)
    booster = booster_from_text(contents[MODEL_FILE].decode())
    return LoadedModel(version, booster, tuple(booster.feature_name()))


def _compare(
    version: ModelVersion, contents: Mapping[str, bytes], known: Mapping[str, str]
) -> None:
    added = sorted(set(contents) - set(known))
    missing = sorted((set(known) | {MODEL_FILE}) - set(contents))
    changed = sorted(
        name
        for name, content in contents.items()
        if name in known and hashlib.sha256(content).hexdigest() != known[name]
    )
    differences = [
        f"{what} {', '.join(names)}"
        for what, names in (("changed:", changed), ("added:", added), ("missing:", missing))
        if names
    ]
    if differences:
        raise _refuse(
            version, "its files differ from the manifest (" + "; ".join(differences) + ")"
        )


def _read_folder(folder: Path, version: ModelVersion) -> dict[str, bytes]:
    """Read every file once; what is hashed is what is used. Only plain files may lie there."""
    contents: dict[str, bytes] = {}
    try:
        for entry in sorted(folder.iterdir()):
            if entry.is_symlink() or not entry.is_file():
                raise _refuse(version, f"it holds {entry.name}, which is no plain file")
            if entry.stat().st_size > LARGEST_FILE:
                raise _refuse(version, f"{entry.name} is larger than {LARGEST_FILE} bytes")
            contents[entry.name] = entry.read_bytes()
    except OSError as error:
        raise _refuse(version, f"its files cannot be read ({error.strerror}: {folder})") from None
    return contents


def _refuse(version: ModelVersion, why: str) -> HaltTrading:
    return HaltTrading(
        f"the champion {version.label} is not loaded: {why}. Find out who changed mlruns, then run "
        "robo retrain to make a new champion"
    )


def _no_champion(last: ModelVersion | None) -> str:
    if last is None:
        return "there is no champion model yet; run robo retrain"
    why = "; ".join(last.reasons) or "no reason was recorded"
    missed = "missed the gate" if not last.passed else "was not promoted"
    return (
        f"there is no champion model; the last candidate {last.label} {missed}: {why}. "
        "Run robo retrain"
    )
