"""A server as a process of one's own: started, watched, killed, found again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

START_S = 300.0
"""Until a server answers: with three clusters starting at once on two cores it takes minutes."""
STOP_S = 15.0
BORN_S = 2.0
"""Two processes with the same id, begun within this time, are taken for one."""
LAST_LINES = 20
"""Of a log, in an error."""


class ServerError(RuntimeError):
    """A server does not start. Names it, and where its log is."""


class Server:
    """One process and its descendants, which end with it.

    Args:
        folder: where its pid and its log lie.
        answers: whether it can be used; may raise OSError.
        user: id of the user to run as, if not one's own.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        answers: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.name, self.folder, self.command = name, folder, list(command)
        self.answers, self.env, self.user = answers, dict(env or {}), user
        self.log = folder / f"{name}.log"
        self.log_starts = 0
        """Where in its log what this start wrote begins."""
        self.pid_file = folder / f"{name}.pid"

    def start(self) -> None:
        """Start it, unless it runs; `wait` for it then."""
        if self.process() is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.log_starts = log.tell()
            child = subprocess.Popen(
                self.command,
                env=os.environ | self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                start_new_session=True,
            )
        born = _seconds_after_boot(psutil.Process(child.pid))
        self.pid_file.write_text(json.dumps({"pid": child.pid, "born": born}))

    def wait(self, seconds: float = START_S) -> None:
        """Until it can be used.

        Raises:
            ServerError: it ended, or takes too long.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.answers():
                    return
            if self.process() is None:
                raise ServerError(f"{self.name} ended while it started; {self._last_words()}")
            if time.monotonic() > deadline:
                late = f"{self.name} is not up after {seconds:.0f} s"
                raise ServerError(f"{late}; {self._last_words()}")
            time.sleep(0.1)

    def has_said(self, words: str) -> bool:
        """Whether its log has these words since it was started."""
        return words.encode() in self.log.read_bytes()[self.log_starts :]

    def process(self) -> psutil.Process | None:
        """The process, if it is there and is the one that was started."""
        try:
            known = json.loads(self.pid_file.read_text())
            process = psutil.Process(known["pid"])
            is_ours = abs(_seconds_after_boot(process) - known["born"]) < BORN_S
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return process if is_ours and _is_alive(process) else None

    def kill(self) -> None:
        """As a crash would: nothing is closed in good order."""
        self._end(signal.SIGKILL, 0.0)

    def stop(self) -> None:
        """In good order, as far as it lets us."""
        self._end(signal.SIGTERM, STOP_S)

    def freeze(self) -> None:
        """It takes connections and does not answer, until `thaw`."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def family(self) -> list[psutil.Process]:
        """The process and all that descend from it."""
        process = self.process()
        if process is None:
            return []
        try:
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _last_words(self) -> str:
        """Where its log is, and how it ends."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "\n  ".join([f"the end of {self.log}:", *lines])

    def _end(self, how: signal.Signals, patience_s: float) -> None:
        family = self.family()
        for process in family[:1] if patience_s else family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(how)
        deadline = time.monotonic() + (patience_s or STOP_S)
        while any(_is_alive(process) for process in family) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError, OSError):
            if family:
                os.waitpid(family[0].pid, 0)
        self.pid_file.unlink(missing_ok=True)


class Servers:
    """A part of the stack: servers that are started in a way of its own."""

    servers: list[Server]
    """Those that the others need come first."""

    def wait(self) -> None:
        for server in self.servers:
            server.wait()

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.stop()

    def kill(self) -> None:
        for server in reversed(self.servers):
            server.kill()


def _seconds_after_boot(process: psutil.Process) -> float:
    """When it began. Not as the time of day: clocks are set while servers run."""
    return process.create_time() - psutil.boot_time()


def _is_alive(process: psutil.Process) -> bool:
    """Not ended, and not ended without anybody who takes note of it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
