"""The hash chain over the ledger's append-only rows: evidence of tampering, not a lock.

A link seals the columns of one row that never change; its digest covers the link before it. The
order is that of the sequence, never of clocks. There is no secret in it: whoever can write the file
can forge all of it, so keep a head (`robo ledger check` prints it) where the file is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from sqlalchemy import text

from warehouse.ledger.statements import LedgerConnection, LedgerRow

GENESIS = "0" * 64

# What is sealed of each table: its key, then the columns that are written once.
SEALED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "broker_events": (("id",), ("at", "kind", "order_ref", "payload")),
    "risk_checks": (
        ("id",),
        (
            "parent_id",
            "plan_no",
            "at",
            "limits_version",
            "order_ref",
            "check_name",
            "passed",
            "reason",
            "numbers",
        ),
    ),
    "children": (
        ("order_ref",),
        (
            "parent_id",
            "slice_no",
            "attempt",
            "account",
            "client_id",
            "order_id",
            "symbol",
            "side",
            "quantity",
            "limit_price",
            "tif",
            "kind",
            "stop_price",
            "oca_group",
            "committed_at",
            "checks",
        ),
    ),
    "executions": (
        ("exec_id",),
        (
            "exec_base",
            "revision",
            "in_opening",
            "account",
            "order_ref",
            "symbol",
            "side",
            "quantity",
            "price",
            "at",
            "perm_id",
        ),
    ),
    "commissions": (("exec_id",), ("exec_base", "revision", "amount", "currency", "realized_pnl")),
    "parent_mids": (("parent_id", "moment"), ("mid", "noted_at")),
    "accounts": (("account",), ("cash", "opened_at")),
    "position_adjustments": (
        ("id",),
        ("account", "symbol", "quantity", "difference_id", "reason", "accepted_by", "at"),
    ),
    "cash_adjustments": (
        ("id",),
        ("account", "amount", "kind", "difference_id", "reason", "accepted_by", "at"),
    ),
    "settlements": (
        ("id",),
        (
            "order_ref",
            "verdict",
            "quantity",
            "price",
            "evidence",
            "reason",
            "settled_by",
            "at",
        ),
    ),
    "opening_positions": (("account", "symbol"), ("quantity",)),
    "booked_splits": (("adjustment_id",), ("new_shares", "old_shares", "effective_at")),
}

# Came after the chain: no part of the digest of a row that has none.
_LATER = frozenset({"checks"})

_HEAD = text("SELECT seq, digest FROM chain ORDER BY seq DESC LIMIT 1")
_LINKS = text("SELECT * FROM chain ORDER BY seq")
_INSERT = text(
    "INSERT INTO chain (seq, table_name, row_key, row_digest, digest) "
    "VALUES (:seq, :table_name, :row_key, :row_digest, :digest)"
)


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link: its number (0 without one) and its digest, SHA-256 in hexadecimal."""

    seq: int
    digest: str


def seal(
    connection: LedgerConnection,
    table: str,
    rows: Iterable[Mapping[str, Any]],
    head: ChainHead | None = None,
) -> None:
    """Link rows, just written to `table`, into the chain, inside their own write transaction.

    A row that is sealed again (a later commission report) counts as it was sealed last. `head` is
    the chain's end, if this transaction has read it already.
    """
    head = chain_head(connection) if head is None else head
    seq, digest = head.seq, head.digest
    links: list[dict[str, Any]] = []
    for row in rows:
        key, content = row_digest(table, row)
        seq += 1
        digest = _next(digest, seq, table, key, content)
        links.append(
            {
                "seq": seq,
                "table_name": table,
                "row_key": key,
                "row_digest": content,
                "digest": digest,
            }
        )
    if links:
        connection.execute(_INSERT, links[0] if len(links) == 1 else links)


def seal_history(connection: LedgerConnection) -> None:
    """Seal every row that was there before the chain was."""
    for table in SEALED:
        seal(connection, table, list(_rows(connection, table)))


def chain_head(connection: LedgerConnection) -> ChainHead:
    """Return the present end of the chain."""
    row = connection.execute(_HEAD).one_or_none()
    return ChainHead(0, GENESIS) if row is None else head_of(row)


def head_of(row: LedgerRow) -> ChainHead:
    """Return the end of the chain by a row that holds its `seq` and `digest`, or None for both."""
    return ChainHead(0, GENESIS) if row.seq is None else ChainHead(int(row.seq), str(row.digest))


def check_chain(connection: LedgerConnection) -> list[str]:
    """Return every break of the chain and every row that is not as it was sealed, in words."""
    found: list[str] = []
    sealed: dict[tuple[str, str], str] = {}
    seq, digest = 0, GENESIS
    for link in connection.execute(_LINKS):
        if link.seq != seq + 1:
            found.append(f"the hash chain lacks its links {seq + 1} to {link.seq - 1}")
        expected = _next(digest, link.seq, link.table_name, link.row_key, link.row_digest)
        if link.digest != expected:
            found.append(
                f"link {link.seq} of the hash chain ({link.table_name} {link.row_key}) does not "
                "follow from the one before it: one of the two was altered"
            )
        seq, digest = link.seq, link.digest
        sealed[link.table_name, link.row_key] = link.row_digest
    for table in SEALED:
        for row in _rows(connection, table):
            key, content = row_digest(table, row)
            known = sealed.pop((table, key), None)
            if known is None:
                found.append(f"{table} {key} was added behind the ledger's back: it has no seal")
            elif known != content:
                found.append(f"{table} {key} was altered after it was written")
    found += [f"{table} {key} was removed after it was written" for table, key in sealed]
    return found


def row_digest(table: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of a row and the digest of its sealed columns."""
    keys, columns = SEALED[table]
    key = " ".join([str(row[column]) for column in keys])
    values = [row[name] for name in columns if row[name] is not None or name not in _LATER]
    return key, _sha([table, key, *values])


def _rows(connection: LedgerConnection, table: str) -> Iterator[Mapping[str, Any]]:
    keys, columns = SEALED[table]
    names = (*keys, *columns)
    query = text(f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(keys)}")  # noqa: S608
    for row in connection.execute(query):
        yield dict(zip(names, row, strict=True))


def _next(digest: str, seq: int, table: str, key: str, content: str) -> str:
    return _sha([digest, seq, table, key, content])


def _sha(values: Sequence[object]) -> str:
    return hashlib.sha256(sealed_text(values).encode()).hexdigest()


def sealed_text(values: Sequence[object]) -> str:
    """Return what `json.dumps` makes of a list of plain values, in a third of its time."""
    parts = [_quoted(v) if type(v) is str else _other_text(v) for v in values]
    return f"[{', '.join(parts)}]"


def _other_text(value: object) -> str:
    if type(value) is int:
        return str(value)
    return "null" if value is None else json.dumps(value)
