"""The order ledger: one object that holds every repository over one engine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from models.portfolio.lots import Adjustment
from warehouse.ledger.accounts import Accounts
from warehouse.ledger.adjustments import Adjustments
from warehouse.ledger.attribution import Attribution
from warehouse.ledger.audit import LedgerAudit, audit_ledger
from warehouse.ledger.backup import Backup, write_backup
from warehouse.ledger.children import Children
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.copying import Progress
from warehouse.ledger.differences import Differences
from warehouse.ledger.disablements import Disablements
from warehouse.ledger.events import Events
from warehouse.ledger.executions import Executions
from warehouse.ledger.export import Export, write_export
from warehouse.ledger.external_orders import ExternalOrders
from warehouse.ledger.halts import Halts
from warehouse.ledger.integrity import check_ledger
from warehouse.ledger.leases import Leases
from warehouse.ledger.limits_versions import LimitsVersions
from warehouse.ledger.manifests import ModelManifests
from warehouse.ledger.obstacles import Obstacles
from warehouse.ledger.parents import Parents
from warehouse.ledger.pnl import AccountPnl, account_pnl, transfers_of
from warehouse.ledger.settlements import Settlements
from warehouse.ledger.symbol_facts import SymbolFactsTable
from warehouse.ledger.trail import Trail
from warehouse.ledger.worked_parents import WorkedParents
from warehouse.ledger.working_versions import WorkingVersions


class OrderLedger:
    """Everything the system knows of orders and money; one object a process, shared by threads."""

    def __init__(self, url: str, deadline: float = 20.0) -> None:
        """Open the ledger at a SQLAlchemy `url`, created or migrated as needed.

        `deadline` is how long to wait for another process's lock, in seconds. Raises InvalidInput
        (unusable place, corrupt file, newer schema) or RetryLater (locked, server down).
        """
        self._store = LedgerStore(url, deadline)
        self.parents = Parents(self._store)
        self.worked = WorkedParents(self._store)
        self.children = Children(self._store)
        self.executions = Executions(self._store)
        self.accounts = Accounts(self._store)
        self.events = Events(self._store)
        self.differences = Differences(self._store)
        self.adjustments = Adjustments(self._store)
        self.external_orders = ExternalOrders(self._store)
        self.settlements = Settlements(self._store, self.children, self.executions)
        self.halts = Halts(self._store)
        self.obstacles = Obstacles(self._store, self.halts, self.differences)
        self.leases = Leases(self._store)
        self.models = ModelManifests(self._store)
        self.attribution = Attribution(self._store)
        self.versions = WorkingVersions(self._store)
        self.limits = LimitsVersions(self._store)
        self.disablements = Disablements(self._store)
        self.facts = SymbolFactsTable(self._store)
        self.trail = Trail(self._store)

    @property
    def place(self) -> str:
        """The file, or the URL with its password masked."""
        return self._store.place

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Generator[None, None, None]:
        """Commit every write of the block at once: all of it, or nothing when it raises.

        An urgent one is as durable, and leaves the upkeep of a SQLite file to the next.
        """
        with self._store.write(urgent=urgent):
            yield

    @contextmanager
    def snapshot(self) -> Generator[None, None, None]:
        """Let every read of the block see the ledger as it is at one moment."""
        with self._store.read():
            yield

    def watch_commits(self, boundary: Callable[[str], None]) -> None:
        """Call `boundary` with commit-before inside each write transaction, commit-after behind."""
        self._store.boundary = boundary

    def check(self) -> list[str]:
        """Return every contradiction inside the ledger, in words; empty when all is well."""
        return check_ledger(self._store)

    def audit(self, account: str) -> LedgerAudit:
        """Look at all of the ledger, `account`'s lots included (empty before first contact)."""
        return audit_ledger(self._store, self.accounts, self.executions, self.adjustments, account)

    def pnl(
        self, account: str, marks: Mapping[str, Decimal], costs: Mapping[str, Decimal]
    ) -> AccountPnl:
        """Return what an account has earned since its opening, in USD.

        `marks` and `costs` (of opening positions) are USD a share by symbol.
        """
        moved = self.position_changes(account)
        return account_pnl(self.accounts, self.executions, account, marks, costs, adjustments=moved)

    def position_changes(self, account: str) -> tuple[Adjustment, ...]:
        """Return the splits and transfers that were booked for an account, oldest first."""
        return transfers_of(self.adjustments, account)

    def backup(self, path: Path, at: datetime, progress: Progress) -> Backup:
        """Write a verified backup of the ledger, in use or not, to the new file `path`."""
        return write_backup(self._store, path, at, progress)

    def export(self, folder: Path, at: datetime, progress: Progress) -> Export:
        """Write every table as Parquet into a new or empty folder."""
        return write_export(self._store, folder, at, progress)

    def close(self) -> None:
        """Close this process's connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
