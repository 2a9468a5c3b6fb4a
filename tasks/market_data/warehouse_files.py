"""Look after the market warehouse of the settings: check, copy, rewrite, retain, hand over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import InvalidInput
from models.domain.sessions import exchange_date
from tasks.stores import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.settings import Settings
    from warehouse.market.checking import MarketCheck
    from warehouse.market.exchange import Exported, Imported
    from warehouse.market.maintenance import Retained
    from warehouse.market.storage import Backup, Compacted, Restored

    Progress = Callable[[str], None]


def check_warehouse(
    settings: Settings, progress: Progress, daily_bps: float | None = None
) -> MarketCheck:
    """Read every row and compare what must agree; with `daily_bps` the broker's daily bars too."""
    from warehouse.market.checking import check_market

    _require_one(settings)
    return check_market(open_warehouse(settings).store, progress, daily_bps)


def backup_warehouse(settings: Settings, path: Path | None, progress: Progress) -> Backup:
    """Write a verified copy to `path`: a file, a folder, or None for the mode's own folder."""
    from warehouse.market.storage import backup_market

    _require_one(settings)
    name = f"{_stamped('warehouse', settings)}.duckdb"
    target = settings.state_dir / "backups" / name if path is None else path.expanduser()
    if target.is_dir():
        target /= name
    return backup_market(open_warehouse(settings).store, target.absolute(), progress)


def restore_warehouse(settings: Settings, path: Path, force: bool, progress: Progress) -> Restored:
    """Put a backup in the place of the settings' warehouse."""
    from warehouse.market.storage import restore_market

    store, source = open_warehouse(settings).store, path.expanduser().absolute()
    return restore_market(store, source, datetime.now(UTC), force, progress)


def compact_warehouse(settings: Settings, progress: Progress) -> Compacted:
    """Write the file anew without dead space."""
    from warehouse.market.storage import compact_market

    _require_one(settings)
    return compact_market(open_warehouse(settings).store, progress)


def retain_warehouse(
    settings: Settings, days: int, folder: Path | None, remove: bool, progress: Progress
) -> Retained:
    """Count, or with `remove` drop, intraday bars older than `days`, counted in market time.

    Raises GatewayUnreachable where that is a simulated gateway's and none runs.
    """
    from tasks.broker.clock import market_now
    from warehouse.market.maintenance import retain_market

    _require_one(settings)
    now = market_now(settings.clock, settings.host, settings.control_port)
    before = exchange_date(now) - timedelta(days=days)
    target = None if folder is None else folder.expanduser().absolute()
    return retain_market(open_warehouse(settings).store, before, target, remove, progress)


def export_warehouse(settings: Settings, folder: Path | None, progress: Progress) -> Exported:
    """Write every table as Parquet to `folder`, or to a new one in the mode's own folder."""
    from warehouse.market.exchange import export_market

    _require_one(settings)
    place = settings.state_dir / "exports" / _stamped("warehouse", settings)
    target = place if folder is None else folder.expanduser()
    store = open_warehouse(settings).store
    return export_market(store, target.absolute(), datetime.now(UTC), progress)


def import_warehouse(settings: Settings, folder: Path, progress: Progress) -> Imported:
    """Fill the settings' warehouse, which must be empty, from an export."""
    from warehouse.market.exchange import import_market

    store = open_warehouse(settings).store
    return import_market(store, folder.expanduser().absolute(), progress)


def _stamped(what: str, settings: Settings) -> str:
    return f"{what}-{settings.mode}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _require_one(settings: Settings) -> None:
    if not settings.has_warehouse:
        raise InvalidInput(
            f"there is no warehouse {settings.warehouse_place} yet; robo ingest makes one, robo "
            "warehouse restore or import brings one back"
        )
