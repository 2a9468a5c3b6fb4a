"""Back up, restore and export the order ledger of the settings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.leases.session_lease import is_running
from tasks.machine import machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.settings import Settings
    from warehouse.ledger.backup import Backup
    from warehouse.ledger.export import Export
    from warehouse.ledger.restore import Restored

    Progress = Callable[[str], None]


def backup_ledger(settings: Settings, path: Path | None, progress: Progress) -> Backup:
    """Write a verified backup to `path`: a file, a folder, or None for the mode's own folder."""
    from tasks.stores import open_ledger

    now = datetime.now(UTC)
    name = f"ledger-{settings.mode}-{now:%Y%m%dT%H%M%SZ}.sqlite"
    target = settings.state_dir / "backups" / name if path is None else path.expanduser()
    if target.is_dir():
        target /= name
    with open_ledger(settings) as ledger:
        return ledger.backup(target.absolute(), now, progress)


def restore_ledger(
    settings: Settings, path: Path, by: str, force: bool, progress: Progress
) -> Restored:
    """Put a backup in the place of the settings' ledger; it starts halted."""
    from warehouse.ledger.restore import RestoreOrder, restore_backup

    order = RestoreOrder(
        source=path.expanduser().absolute(),
        by=by,
        at=datetime.now(UTC),
        force=force,
        host=machine(),
        pid_alive=is_running,
    )
    return restore_backup(settings.ledger_url.get_secret_value(), order, progress)


def export_ledger(settings: Settings, folder: Path | None, progress: Progress) -> Export:
    """Write every table as Parquet to `folder`, or to a new one in the mode's own folder."""
    from tasks.stores import open_ledger

    now = datetime.now(UTC)
    name = f"ledger-{settings.mode}-{now:%Y%m%dT%H%M%SZ}"
    target = settings.state_dir / "exports" / name if folder is None else folder.expanduser()
    with open_ledger(settings) as ledger:
        return ledger.export(target.absolute(), now, progress)
