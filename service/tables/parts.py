"""One part of a table, read so that one that went, one that is damaged and one that the store does
not give are told apart: only a damaged part may be deleted, the rows of the last may be whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from service.store.store import Store
from service.tables import parquet
from service.tables.parquet import DamagedPartError
from service.text import one_line

ADVICE = "delete it and run its sweep again"
"""What to do with a damaged part."""

T = TypeVar("T")


def read_part(
    store: Store, key: str, columns: list[str] | None = None
) -> tuple[pa.Table, pa.Schema] | None:
    """Rows of one part, and all its columns; None if it went.

    Raises:
        DamagedPartError, StoreError: see `reading`.
    """

    def read() -> tuple[pa.Table, pa.Schema]:
        path = store.path(key)
        parquet.check_path(store.fs, path)
        with pq.ParquetFile(path, filesystem=store.fs, page_checksum_verification=True) as file:
            return file.read(columns), file.schema_arrow

    return reading(store, key, read)


def reading(store: Store, key: str, read: Callable[[], T]) -> T | None:
    """What `read` makes of one part; None if the part went.

    Raises:
        DamagedPartError: it is not as it was written.
        StoreError: the store does not give it.
    """
    try:
        return store.retry("read", key, read, explain=False)
    except FileNotFoundError:
        return None
    except MemoryError:  # of pyarrow's errors the one that says nothing of the part
        raise
    except (pa.ArrowException, DamagedPartError, UnicodeError) as error:
        raise DamagedPartError(one_line(error)) from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise store.refusal("read", key, error) from error
        # so pyarrow speaks of damaged pages, but also of what S3 refuses: the store itself can tell
        data = store.get_or_none(key)
        if data is None:
            return None
        if parquet.is_whole(data):
            raise store.refusal("read", key, error) from error
        raise DamagedPartError(one_line(error)) from error
