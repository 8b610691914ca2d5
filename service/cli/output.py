"""Standard output and error that are closed, on a full disk, or left by their reader."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast


class Output:
    """A standard stream that the work outlives.

    What an hour of training leaves is in the store, so a line that cannot be written must not end
    it, nor half of a deletion. All that follows such a line goes nowhere.
    """

    def __init__(self, stream: TextIO, on_loss: Callable[[OSError], None]) -> None:
        self.stream, self.on_loss = stream, on_loss
        self.loss: OSError | None = None

    def write(self, text: str) -> int:
        try:
            self.stream.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        # what is still buffered has to go somewhere too, at the latest when Python ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        self.loss = error
        self.on_loss(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lasting(on_loss: Callable[[OSError], None]) -> Iterator[Output]:
    """Standard output and error that no work can end by; yields the first."""
    out = Output(_open(1, sys.stdout, os.O_RDONLY), on_loss)  # a write to it is a loss
    err = Output(_open(2, sys.stderr, os.O_WRONLY), lambda error: None)
    with (
        contextlib.redirect_stdout(cast(TextIO, out)),
        contextlib.redirect_stderr(cast(TextIO, err)),
    ):
        yield out
        out.flush()
        err.flush()


def _open(number: int, stream: TextIO | None, mode: int) -> TextIO:
    """The stream; if it was closed before Python began, one in its place, as otherwise the next
    file to be opened, a database perhaps, would get its number and what others print."""
    if stream is not None:
        return stream
    nowhere = os.open(os.devnull, mode)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    return open(number, "w", closefd=False)
