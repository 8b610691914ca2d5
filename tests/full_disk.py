"""A disk of a few megabytes that is really full: a file system in memory."""

import errno
import subprocess
from contextlib import contextmanager

import pytest

BLOCK = 4096
FILES = 500


@contextmanager
def small_disk(folder, size):
    """An empty disk of `size` bytes and FILES files at `folder`; skips where it may not be made."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={FILES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no command to make a disk")
    if done.returncode:
        pytest.skip(f"may make no disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file):
    """Write a file until there is no room for a byte more."""
    with file.open("wb", buffering=0) as stream:
        while is_written(stream, bytes(BLOCK)):
            pass


def is_written(stream, data):
    try:
        return stream.write(data) == len(data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
