"""Damage in a SQLite write-ahead log, which SQLite itself passes over in silence.

After a frame whose checksum fails SQLite ignores the rest of the log, as is right for the torn end
that a power loss leaves. But a transaction is on the disk before the next one is written: behind a
bad frame there can be the end of one transaction only. Two of them prove that the bad frame was
whole once, and that committed orders would be forgotten.

Layout: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.domain.errors import InvalidInput

HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint, salt 1, salt 2, sums 1, 2
FRAME = struct.Struct(">6I")  # page, pages after a commit or 0, salt 1, salt 2, sums 1, 2
MAGIC = 0x377F0682  # the last bit says that checksums take big-endian words
LOOKS = 3
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class LogDamage:
    """The first bad frame (from 1) of `frames`, and how many commits lie behind it."""

    frame: int
    frames: int
    commits: int


def require_whole_log(ledger: Path) -> None:
    """Raise InvalidInput when the log beside a SQLite ledger has lost what was committed.

    Others may write to it meanwhile: only what looks the same three times is damage.
    """
    log = ledger.with_name(f"{ledger.name}-wal")
    seen: set[LogDamage | None] = set()
    for look in range(LOOKS):
        if look:
            time.sleep(0.02)
        try:
            found = find_damage(log.read_bytes())
        except OSError:  # gone by now, or not to be read: opening the ledger will tell
            return
        seen.add(found)
        if found is None or len(seen) > 1:
            return
    damage = seen.pop()
    if damage is not None:
        raise InvalidInput(
            f"{log} is damaged at frame {damage.frame} of {damage.frames}: at least "
            f"{damage.commits - 1} committed transactions behind it cannot be read, so orders may "
            "be missing; send no order, and restore a backup: robo ledger restore BACKUP --force "
            "keeps the ledger and its log"
        )


def find_damage(log: bytes) -> LogDamage | None:
    """Return the damage in the bytes of a log; None when it is whole, torn at its end or empty."""
    if len(log) < HEADER.size + FRAME.size:
        return None
    magic, _, page_size, _, *rest = HEADER.unpack_from(log)
    big_endian = bool(magic & 1)
    good_header = magic & ~1 == MAGIC and _sums(log[:24], (0, 0), big_endian) == tuple(rest[2:])
    if not good_header:
        page_size = _page_size(page_size)
    step = FRAME.size + page_size
    frames = (len(log) - HEADER.size) // step
    salts, sums = (tuple(rest[:2]) if good_header else _salts(log, step)), (rest[2], rest[3])
    whole = 0
    if good_header:
        while whole < frames:
            start = HEADER.size + whole * step
            *_, salt1, salt2, sum1, sum2 = FRAME.unpack_from(log, start)
            if (salt1, salt2) != salts:
                break
            sums = _sums(log[start : start + 8], sums, big_endian)
            sums = _sums(log[start + FRAME.size : start + step], sums, big_endian)
            if sums != (sum1, sum2):
                break
            whole += 1
    commits = 0
    for number in range(whole, frames):
        _, pages, salt1, salt2, *_ = FRAME.unpack_from(log, HEADER.size + number * step)
        commits += (salt1, salt2) == salts and pages > 0
    return LogDamage(whole + 1, frames, commits) if commits > 1 else None


def _salts(log: bytes, step: int) -> tuple[int, ...]:
    """Return the salts that most frames have, where the header's own are gone."""
    frames = range(HEADER.size, len(log) - step + 1, step)
    told = Counter(FRAME.unpack_from(log, start)[2:4] for start in frames)
    return told.most_common(1)[0][0] if told else ()


def _sums(content: bytes, start: tuple[int, int], big_endian: bool) -> tuple[int, int]:
    first, second = start
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(content) // 4}I", content)
    pairs = iter(words)
    for even, odd in zip(pairs, pairs, strict=True):
        first = (first + even + second) & WORD
        second = (second + odd + first) & WORD
    return first, second


def _page_size(told: int) -> int:
    """Return the page size of a log with a bad header: the told one if it can be one."""
    return told if 512 <= told <= 65_536 and told & (told - 1) == 0 else 4_096
