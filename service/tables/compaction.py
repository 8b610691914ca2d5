"""Few large Parquet parts in place of many small ones, while others read and write.

A merged part is named by the keys of its rows, like every part. It is put whole, read back, and
only then the parts whose rows are all in it go. So at any moment every row is in some part,
wherever a compaction is killed and however many run at once: a part goes only for one that holds
its keys and more, and of a chain of such parts the last is there. Between the two steps rows are
there twice; `read_table` keeps one row per key. Who reads the folder without it, as
`pd.read_parquet` does, may meanwhile see rows twice, or fail on a part that goes: several objects
cannot be changed at once, and nobody tells such a reader to look again. Rows stay there twice where
the parts that share trials are more than twice what a part may hold.

Parts younger than SETTLED_S stay as they are: a reader lists twice, and rows must not move twice in
that time. `failures` is left alone: there a part is one row, deleted by its name when the analysis
succeeds (`analysis.failures.Failures`). So are parts with columns that this version does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from service.store.keys import table_prefix
from service.store.store import Entry, Store, StoreError
from service.tables import parquet
from service.tables.parquet import DamagedPartError
from service.tables.parts import ADVICE, read_part
from service.tables.reading import one_per_key
from service.tables.schema import TABLES, Table
from service.tables.writing import TableError, part_key

log = logging.getLogger("grok")

MAX_ROWS, MAX_BYTES = 100_000, 128 * 2**20
"""Rows and bytes of a merged part, at most; twice that where parts share trials."""
MANY_PARTS = 64
"""Parts of a table's sweep that are worth merging when a sweep ends, or while it goes on."""
SMALL_BYTES = 2**20
"""Parts above it stay as they are while a sweep goes on, or their rows would be written again and
again."""
SETTLED_S = 60.0
"""Seconds after which a part may be merged; longer than a reader's two listings take."""
LEFT_OUT = frozenset({"failures"})
COMPACTED = tuple(name for name in TABLES if name not in LEFT_OUT)
"""Tables whose parts are merged."""
THREADS = 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """One file of a partition."""

    entry: Entry
    rows: int
    trials: frozenset[str]


@dataclass(eq=False)
class Group:
    """Parts that become one."""

    parts: list[Part]
    rows: int
    size: int

    def takes(self, other: Group, times: int = 1) -> bool:
        """Add the parts of another group, if there is room for them."""
        rows, size = self.rows + other.rows, self.size + other.size
        if rows > times * MAX_ROWS or size > times * MAX_BYTES:
            return False
        self.parts += other.parts
        self.rows, self.size = rows, size
        return True


def compact(
    store: Store,
    tables: Iterable[str] | None = None,
    sweep: str | None = None,
    say: Say = log.info,
    settled_s: float = SETTLED_S,
) -> int:
    """Merge the small parts of tables; returns how many parts are fewer now.

    Safe at any time, beside sweeps, readers and other compactions, and to be killed.

    Args:
        tables: names; default all that can be merged.
        sweep: only its parts; default those of all sweeps.

    Raises:
        TableError: a part is damaged; the parts merged before it stay merged.
        StoreError: the store cannot be used; likewise.
    """
    fewer = 0
    for table_name in COMPACTED if tables is None else tables:
        for name, entries in partitions(store, table_name, sweep).items():
            parts = parts_of(store, table_name, settled(entries, settled_s))
            fewer += _compact(store, table_name, name, parts, say)
    return fewer


def tidy(store: Store, sweep: str, settled_s: float = SETTLED_S) -> int:
    """Merge what has become many parts, or has rows twice; for a sweep that ends.

    What goes wrong is logged and harms nothing.
    """

    def merge(table_name: str) -> int:
        fewer = 0
        for entries in partitions(store, table_name, sweep).values():
            parts = parts_of(store, table_name, settled(entries, settled_s))
            if len(entries) > MANY_PARTS or _share_trials(parts):
                fewer += _compact(store, table_name, sweep, parts, log.info)
        return fewer

    return _in_every_table(merge)


def merge_small(store: Store, sweep: str, settled_s: float = SETTLED_S) -> int:
    """Merge small parts of which there are many, while a sweep goes on: readers open few files, and
    a row is written a few times. What goes wrong is logged, as in `tidy`.
    """

    def merge(table_name: str) -> int:
        fewer = 0
        for entries in partitions(store, table_name, sweep).values():
            small = [e for e in settled(entries, settled_s) if e.size <= SMALL_BYTES]
            if len(small) > MANY_PARTS:
                parts = parts_of(store, table_name, small)
                fewer += _compact(store, table_name, sweep, parts, log.debug)
        return fewer

    return _in_every_table(merge)


def _in_every_table(merge: Callable[[str], int]) -> int:
    """The sum. What goes wrong is logged and harms nothing: every row is where it was."""
    fewer = 0
    for table_name in COMPACTED:
        try:
            fewer += merge(table_name)
        except StoreError as error:  # that has been waited for, and so it would for every table
            log.warning("the parts of tables stay as they are: %s", error)
            break
        except TableError as error:
            log.warning("the parts of table %s stay as they are: %s", table_name, error)
        except Exception:  # merging must not end a sweep
            log.warning("the parts of table %s stay as they are", table_name, exc_info=True)
    return fewer


def partitions(store: Store, table_name: str, sweep: str | None) -> dict[str, list[Entry]]:
    """Parts of a table by sweep."""
    if table_name not in COMPACTED:
        raise TableError(f"table = {table_name!r}: need one of {', '.join(COMPACTED)}")
    prefix = table_prefix(table_name)
    found: dict[str, list[Entry]] = {}
    for entry in store.entries(table_prefix(table_name, sweep)):
        folder, _, name = entry.key.removeprefix(f"{prefix}/").partition("/")
        if folder.startswith("sweep=") and name.endswith(".parquet"):
            found.setdefault(folder.removeprefix("sweep="), []).append(entry)
    return found


def settled(entries: Sequence[Entry], settled_s: float) -> list[Entry]:
    """Those that nobody has touched for a while, by the store's clock and ours."""
    before = datetime.now(UTC) - timedelta(seconds=settled_s)
    return [entry for entry in entries if entry.modified <= before]


def parts_of(store: Store, table_name: str, entries: Sequence[Entry]) -> list[Part]:
    """What is in some parts; those that went, or that this version cannot rewrite, are left out.

    Raises:
        TableError: one is damaged.
        StoreError: one cannot be read.
    """
    known = set(TABLES[table_name].arrow)

    def look(entry: Entry) -> Part | None:
        found = _read(store, table_name, entry.key, ["trial_id"])
        if found is None or not set(found[1]) <= known:
            return None
        rows, _ = found
        return Part(entry, rows.num_rows, frozenset(pc.unique(rows["trial_id"]).to_pylist()))

    with ThreadPoolExecutor(THREADS) as pool:
        return [part for part in pool.map(look, entries) if part is not None]


def groups(parts: Iterable[Part]) -> list[Group]:
    """What goes together: parts that share trials, for rows that are there twice; small ones."""
    out: list[Group] = []
    group_of: dict[str, Group] = {}
    for part in sorted(parts, key=lambda p: (-p.rows, p.entry.key)):
        group = Group([part], part.rows, part.entry.size)
        # all that share trials with it, or its rows would stay twice
        for other in dict.fromkeys(group_of[i] for i in sorted(part.trials) if i in group_of):
            if other.takes(group, times=2):
                group_of |= {i: other for each in group.parts for i in each.trials}
                if group in out:
                    out.remove(group)
                group = other
        if len(group.parts) == 1:
            if out and out[-1].takes(group):
                group = out[-1]
            else:
                out.append(group)
            group_of |= dict.fromkeys(part.trials, group)
    return [group for group in out if len(group.parts) > 1]


def merged(table: Table, pieces: Sequence[pa.Table]) -> pa.Table:
    """The rows of some parts in the order of their keys, one per key, as they were written."""
    # with nulls for columns that are younger than a part
    every = [table.arrow.empty_table(), *(piece.replace_schema_metadata() for piece in pieces)]
    rows = pa.concat_tables(every, promote_options="default").select(table.arrow.names)
    order = [(name, "ascending") for name in table.key]
    return one_per_key(rows, table).sort_by(order).combine_chunks()


def _compact(store: Store, table_name: str, sweep: str, parts: Sequence[Part], say: Say) -> int:
    fewer = 0
    for group in groups(parts):
        fewer += _merge(store, table_name, sweep, [part.entry for part in group.parts])
    if fewer:
        say(f"{table_name} of {sweep}: {len(parts)} parts are {len(parts) - fewer} now")
    return fewer


def _merge(store: Store, table_name: str, sweep: str, entries: Sequence[Entry]) -> int:
    """Put one part in place of some; returns how many parts are fewer."""
    table = TABLES[table_name]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda each: _read(store, table_name, each.key), entries))
    pieces = {entry: part[0] for entry, part in zip(entries, found) if part is not None}
    if len(pieces) < 2:
        return 0  # another compaction was here
    rows = merged(table, list(pieces.values()))
    target = part_key(table_name, sweep, rows.select(list(table.identity)).to_pylist())
    store.put(target, parquet.to_bytes(rows))
    back = _read(store, table_name, target, list(table.identity))
    if back is None:
        return 0  # in another's larger part already
    if part_key(table_name, sweep, back[0].to_pylist()) != target:
        raise StoreError(f"{store.uri(target)}: what was read differs from what was written")
    # a part written again since it was read may know more than was merged
    now = partitions(store, table_name, sweep).get(sweep, [])
    gone = [entry.key for entry in set(pieces) & set(now) if entry.key != target]
    store.delete_all(sorted(gone))
    return len(gone) - (target not in {entry.key for entry in entries})


def _read(
    store: Store, table_name: str, key: str, columns: list[str] | None = None
) -> tuple[pa.Table, pa.Schema] | None:
    """Rows of one part, and all its columns; None if it went.

    Raises:
        TableError: it is damaged.
        StoreError: it cannot be read.
    """
    try:
        return read_part(store, key, columns)
    except DamagedPartError as error:
        raise TableError(f"table {table_name}: {store.uri(key)}: {error}; {ADVICE}") from error


def _share_trials(parts: Iterable[Part]) -> bool:
    seen: set[str] = set()
    for part in parts:
        if not seen.isdisjoint(part.trials):
            return True
        seen |= part.trials
    return False
