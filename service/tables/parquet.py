"""Parquet files that show when they are damaged.

Pages carry the checksums that Parquet has for them. The footer has none, so its checksum is an
entry of its own metadata, taken with zeros in its place. Other programs read these files as any.

Why not those of the pages alone: with them pyarrow 25 reads other values, and says nothing, when
one of 77 of the 2,472 bytes of the footer of nine rows of `curves` has changed.
"""

from __future__ import annotations

import re
import zlib

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

ENTRY = "grok.footer_crc32"
MAGIC = b"PAR1"
TAIL = 8
"""Bytes after the footer: its length and MAGIC."""
_SEAL = re.compile(re.escape(ENTRY.encode()) + rb".{2}([0-9a-f]{8})", re.DOTALL)
FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
"""How a data set of such files is read."""


class DamagedPartError(ValueError):
    """The bytes are not a Parquet file, or not as they were written. Says what is wrong."""


def to_bytes(rows: pa.Table, compression: str = "snappy") -> bytes:
    """Rows as a Parquet file; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    options = {"write_page_checksum": True, "compression": compression}
    with pq.ParquetWriter(sink, rows.schema, **options) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({ENTRY: "0" * 8})
    data = sink.getvalue().to_pybytes()
    start = len(data) - TAIL - int.from_bytes(data[-TAIL:-4], "little")
    seal = _SEAL.search(data, start)
    assert seal is not None
    crc = f"{zlib.crc32(data[start:]):08x}".encode()
    return data[: seal.start(1)] + crc + data[seal.end(1) :]


def is_whole(data: bytes) -> bool:
    """Whether a file can be read to its end, and its checksums are right."""
    try:
        _check(pa.BufferReader(data))
        pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read()
    except (DamagedPartError, pa.ArrowException, OSError, UnicodeError):
        return False
    return True


def check_path(filesystem: fs.FileSystem, path: str) -> None:
    """Read the footer of a file and compare its checksum; older files have none.

    Raises:
        DamagedPartError: no Parquet file, or a footer that has changed since it was written.
    """
    with filesystem.open_input_file(path) as file:
        _check(file)


def _check(file: pa.NativeFile) -> None:
    size = file.size()
    tail = file.read_at(TAIL, size - TAIL) if size > TAIL else b""
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length + TAIL > size:
        raise DamagedPartError(f"{size} bytes that are not a whole Parquet file")
    footer = file.read_at(length + TAIL, size - TAIL - length)
    seal = _SEAL.search(footer)
    if seal is None:
        return
    crc = zlib.crc32(footer[: seal.start(1)] + b"0" * 8 + footer[seal.end(1) :])
    if seal[1] != f"{crc:08x}".encode():
        raise DamagedPartError("its footer has changed since it was written")
