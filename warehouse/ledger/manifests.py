"""Manifests of promoted models: the hashes that a model's files must have before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.domain.errors import InvalidInput
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import json_of, json_text, moment_of, moment_text
from warehouse.ledger.statements import LedgerConnection, LedgerRow

_GET = text("SELECT * FROM model_manifests WHERE model = :model AND version = :version")
_NEWEST = text("SELECT * FROM model_manifests WHERE model = :model ORDER BY seq DESC LIMIT 1")
_FILES = text(
    "SELECT name, sha256 FROM model_files WHERE model = :model AND version = :version ORDER BY name"
)
_INSERT = text(
    "INSERT INTO model_manifests (model, version, seq, run_id, metrics, recorded_at) "
    "SELECT :model, :version, COALESCE(MAX(seq), 0) + 1, :run_id, :metrics, :at "
    "FROM model_manifests"
)
_INSERT_FILE = text(
    "INSERT INTO model_files (model, version, name, sha256) "
    "VALUES (:model, :version, :name, :sha256)"
)


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """A promoted model version: SHA-256 (hex) by file name, its MLflow run and its metrics."""

    model: str
    version: str
    files: Mapping[str, str]
    run_id: str
    metrics: Mapping[str, float]
    at: datetime


class ModelManifests:
    """The manifests of this ledger, kept apart from the files that they vouch for."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record_manifest(
        self,
        model: str,
        version: str,
        files: Mapping[str, str],
        *,
        run_id: str,
        metrics: Mapping[str, float],
        at: datetime,
    ) -> ModelManifest:
        """Record the files of a promoted version, once; the same files again change nothing.

        Raises InvalidInput for no files, a malformed hash, or other files under a known version.
        """
        _require_hashes(model, version, files)
        key = {"model": model, "version": version}
        with self._store.write() as connection:
            row = connection.execute(_GET, key).one_or_none()
            if row is not None:
                return _require_equal(_manifest(connection, row), files)
            values = {"run_id": run_id, "metrics": json_text(metrics), "at": moment_text(at)}
            connection.execute(_INSERT, key | values)
            rows = [key | {"name": name, "sha256": files[name].lower()} for name in files]
            connection.execute(_INSERT_FILE, rows)
            return _manifest(connection, connection.execute(_GET, key).one())

    def newest(self, model: str) -> ModelManifest | None:
        """Return the manifest of the version promoted last, or None."""
        with self._store.read() as connection:
            row = connection.execute(_NEWEST, {"model": model}).one_or_none()
            return None if row is None else _manifest(connection, row)

    def manifest(self, model: str, version: str) -> ModelManifest | None:
        """Return the manifest of one version, or None when it was never promoted."""
        with self._store.read() as connection:
            row = connection.execute(_GET, {"model": model, "version": version}).one_or_none()
            return None if row is None else _manifest(connection, row)


def _require_hashes(model: str, version: str, files: Mapping[str, str]) -> None:
    if not files:
        raise InvalidInput(f"the manifest of {model} version {version} names no file")
    for name, digest in files.items():
        if len(digest) != 64 or any(sign not in "0123456789abcdef" for sign in digest.lower()):
            raise InvalidInput(
                f"the manifest of {model} version {version} gives {digest!r} for {name}; "
                "it must be a SHA-256 in 64 hexadecimal digits"
            )


def _require_equal(present: ModelManifest, files: Mapping[str, str]) -> ModelManifest:
    if dict(present.files) != {name: digest.lower() for name, digest in files.items()}:
        raise InvalidInput(
            f"{present.model} version {present.version} was promoted with other files; "
            "a manifest never changes: register the new files as a new version"
        )
    return present


def _manifest(connection: LedgerConnection, row: LedgerRow) -> ModelManifest:
    key = {"model": row.model, "version": row.version}
    files = {found.name: found.sha256 for found in connection.execute(_FILES, key)}
    return ModelManifest(
        row.model, row.version, files, row.run_id, json_of(row.metrics), moment_of(row.recorded_at)
    )
