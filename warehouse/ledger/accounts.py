"""Accounts: the opening balance that everything is counted from, and later snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from models.domain.errors import InvalidInput
from models.domain.orders import Fill
from warehouse.ledger.chain import seal
from warehouse.ledger.connection import LedgerStore
from warehouse.ledger.encoding import moment_of, moment_text, money_text
from warehouse.ledger.execution_rows import store_execution

_GET = text("SELECT * FROM accounts WHERE account = :account")
_LATEST = text("SELECT account FROM accounts ORDER BY opened_at DESC LIMIT 1")
_KNOWN = text("SELECT account FROM accounts ORDER BY account")
_POSITIONS = text(
    "SELECT symbol, quantity FROM opening_positions WHERE account = :account ORDER BY symbol"
)
_INSERT = text(
    "INSERT INTO accounts (account, cash, opened_at) VALUES (:account, :cash, :opened_at)"
)
_INSERT_POSITION = text(
    "INSERT INTO opening_positions (account, symbol, quantity) "
    "VALUES (:account, :symbol, :quantity)"
)
_HAS_EXECUTIONS = text("SELECT COUNT(*) AS n FROM executions WHERE account = :account")
_SNAPSHOT = text(
    "INSERT INTO account_snapshots (account, at, label, cash, net_liquidation) "
    "VALUES (:account, :at, :label, :cash, :net_liquidation) "
    "ON CONFLICT (account, at, label) DO UPDATE SET cash = excluded.cash, "
    "net_liquidation = excluded.net_liquidation"
)
_SNAPSHOTS = text(
    "SELECT * FROM account_snapshots WHERE account = :account "
    "AND (:label = '' OR label = :label) ORDER BY at, label"
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account held at first contact: cash in USD, signed shares by symbol, UTC."""

    account: str
    cash: Decimal
    positions: Mapping[str, int]
    at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the broker said of an account at one moment, in USD; `label` says on what occasion."""

    account: str
    at: datetime
    label: str
    cash: Decimal
    net_liquidation: Decimal


class Accounts:
    """The accounts of this ledger."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def opening(self, account: str) -> Opening | None:
        """Return the opening balance, or None before first contact."""
        key = {"account": account}
        with self._store.read() as connection:
            row = connection.execute(_GET, key).one_or_none()
            rows = connection.execute(_POSITIONS, key).all()
        if row is None:
            return None
        positions = {found.symbol: int(found.quantity) for found in rows}
        return Opening(account, Decimal(row.cash), positions, moment_of(row.opened_at))

    def known(self) -> tuple[str, ...]:
        """Return the ids of every account with an opening balance."""
        with self._store.read() as connection:
            return tuple(connection.execute(_KNOWN).scalars())

    def latest_account(self) -> str | None:
        """Return the account that was opened last, or None before first contact."""
        with self._store.read() as connection:
            row = connection.execute(_LATEST).one_or_none()
        return None if row is None else str(row.account)

    def record_opening(
        self,
        account: str,
        cash: Decimal,
        positions: Mapping[str, int],
        at: datetime,
        fills: Sequence[Fill] = (),
    ) -> Opening:
        """Record, once, what the account held at first contact.

        `fills` are the executions that the broker showed at that moment: they are kept, but the
        balance contains them already. The same opening again changes nothing. Raises InvalidInput
        when the account has another opening, or executions without one.
        """
        key = {"account": account}
        held = {symbol: positions[symbol] for symbol in sorted(positions) if positions[symbol]}
        wanted = Opening(account, cash, held, at)
        with self._store.write() as connection:
            present = self.opening(account)
            if present is not None:
                return _require_equal(present, wanted)
            if connection.execute(_HAS_EXECUTIONS, key).scalar_one():
                raise InvalidInput(
                    f"account {account} already has executions in the ledger but no opening; its "
                    "balance then cannot be known: start a new ledger (ROBO_LEDGER_URL)"
                )
            opened = key | {"cash": money_text(cash), "opened_at": moment_text(at)}
            connection.execute(_INSERT, opened)
            seal(connection, "accounts", [opened])
            rows = [key | {"symbol": symbol, "quantity": held[symbol]} for symbol in held]
            if rows:
                connection.execute(_INSERT_POSITION, rows)
                seal(connection, "opening_positions", rows)
            for fill in fills:
                store_execution(connection, fill, account, in_opening=True)
        return wanted

    def record_snapshot(
        self, account: str, at: datetime, cash: Decimal, net_liquidation: Decimal, label: str
    ) -> None:
        """Keep what the broker said of the account at `at` (UTC); the same key is overwritten."""
        row = {
            "account": account,
            "at": moment_text(at),
            "label": label,
            "cash": money_text(cash),
            "net_liquidation": money_text(net_liquidation),
        }
        with self._store.write() as connection:
            connection.execute(_SNAPSHOT, row)

    def snapshots(self, account: str, label: str = "") -> tuple[Snapshot, ...]:
        """Return the snapshots of an account by time, of one label or (empty) of all."""
        with self._store.read() as connection:
            rows = connection.execute(_SNAPSHOTS, {"account": account, "label": label}).all()
        return tuple(
            Snapshot(
                row.account,
                moment_of(row.at),
                row.label,
                Decimal(row.cash),
                Decimal(row.net_liquidation),
            )
            for row in rows
        )


def _require_equal(present: Opening, wanted: Opening) -> Opening:
    same = (present.cash, present.positions) == (wanted.cash, wanted.positions)
    if not same or present.at != wanted.at:
        raise InvalidInput(
            f"account {present.account} was opened at {present.at.isoformat()} with {present.cash} "
            "USD; an opening is recorded once: run robo reconcile to see what differs since"
        )
    return present
