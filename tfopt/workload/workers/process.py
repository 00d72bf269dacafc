"""A worker process as its parent sees it: started, listened to with a time limit, ended for certain."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import msgspec

from tfopt.errors import UsageError
from tfopt.model.text import one_line
from tfopt.undo import undone

__all__ = ["PYTHON", "Ended", "Worker", "worker"]

# -P: a folder called tfopt in the working directory is not the one that runs.
PYTHON = (sys.executable, "-P", "-m")

_FAREWELL_S = 5.0  # from its last word to its end
_LAST_WORDS, _LAST_LINE = 4096, 200  # bytes, characters
# What used less CPU time than this part of a silence did nothing; on a crowded machine work gets little more.
_WORKING = 0.05

_Message = TypeVar("_Message")


class Ended(Exception):
    """The process is no more; the text says how it ended, in words. `signal` is what ended it, if one did."""

    def __init__(self, text: str, signal: int | None = None) -> None:
        super().__init__(text)
        self.signal = signal


class Worker(Generic[_Message]):
    """A running worker process that says messages of one kind. `said` holds what it wrote to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes], kind: Any) -> None:
        self._process, self._said = process, said
        self._decoder: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(kind)
        self._lines: list[bytes] = []
        self._rest = b""
        self._over = False
        self._asked_at, self._computed_then_s = 0.0, 0.0

    def receive(self, until: float) -> _Message | None:
        """The next message; None where none came until `until` (of `time.monotonic`). Raises Ended."""
        assert self._process.stdout is not None
        self._asked_at, self._computed_then_s = time.monotonic(), self._computed_s()
        while not self._lines:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise self._ended()
            *self._lines, self._rest = (self._rest + chunk).split(b"\n")
        line = self._lines.pop(0)
        try:
            return self._decoder.decode(line)
        except msgspec.DecodeError:
            self.end()
            said = one_line(line.decode("utf-8", "replace"), _LAST_LINE)
            raise Ended(f"the process said what is no message: {said}") from None

    @property
    def working(self) -> bool:
        """Whether it computes since it was asked for the last message: what comes late is slow, and does not hang."""
        return self._computed_s() - self._computed_then_s > _WORKING * (time.monotonic() - self._asked_at)

    def _computed_s(self) -> float:
        """CPU seconds that the process has used so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Kill the process and all that it started; once, since the number may then become another's."""
        if not self._over:
            self._over = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ended(self) -> Ended:
        try:
            code = self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            self.end()
            return Ended("the process fell silent for good without an end")
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - _LAST_WORDS))
        last = one_line(self._said.read().strip().rpartition(b"\n")[2].decode("utf-8", "replace"), _LAST_LINE)
        return Ended(f"{_ending(code)}{': ' if last else ''}{last}", -code if code < 0 else None)


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended with exit code {code}"
    name = signal.strsignal(-code) or "which has no name"  # numbers that the C library keeps for itself
    memory = "; memory may have run out" if -code == signal.SIGKILL else ""
    return f"the process was ended by signal {-code} ({name}{memory})"


@contextlib.contextmanager
def worker(task: object, command: Sequence[str], kind: Any, settings: Mapping[str, str] = {}) -> Iterator[Worker[Any]]:
    """A fresh process at work on `task`, in a session of its own: Ctrl-C reaches the parent alone, and ending it ends
    whatever it started. It finds modules where this process does, and says messages of `kind`; `settings` are
    environment variables of its own. Raises UsageError where the task names what is not UTF-8."""
    try:
        order = msgspec.json.encode(task) + b"\n"
    except UnicodeEncodeError as error:
        raise UsageError(f"the name {one_line(error.object)} is not UTF-8", "give it another name") from None
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    environment = {**os.environ, **settings, "PYTHONPATH": path}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            bufsize=0,  # nothing is left to be written when the pipes are closed
            env=environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        child: Worker[Any] = Worker(process, said, kind)
        with process.stdin as orders, process.stdout, undone(child.end):
            with contextlib.suppress(BrokenPipeError):  # it has ended at once: its last words are asked for later
                orders.write(order)
            yield child
