"""A worker process as the duel sees it: started, listened to with a time limit, ended for certain."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from tfopt.undo import undone
from tfopt.workload.duel.messages import Message, Task

__all__ = ["WORKER", "Ended", "Worker", "worker"]

# -P: a folder called tfopt in the working directory is not the one that runs.
WORKER = (sys.executable, "-P", "-m", "tfopt.workload.duel.worker")

_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class Ended(Exception):
    """The process is no more; the text says how it ended, in words."""


class Worker:
    """A running worker process. `said` holds what it wrote to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self._process, self._said = process, said
        self._lines: list[bytes] = []
        self._rest = b""
        self._over = False

    def receive(self, until: float) -> Message | None:
        """The next message; None where none came until `until` (of `time.monotonic`). Raises Ended."""
        assert self._process.stdout is not None
        while not self._lines:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise Ended(self._ending())
            *self._lines, self._rest = (self._rest + chunk).split(b"\n")
        return _DECODER.decode(self._lines.pop(0))

    def end(self) -> None:
        """Kill the process and all that it started; once, since the number may then become another's."""
        if not self._over:
            self._over = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ending(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        last = self._said.read().strip().rpartition(b"\n")[2].decode("utf-8", "replace").strip()
        return f"{_ending(code)}{': ' if last else ''}{last[:200]}"


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended with exit code {code}"
    memory = "; memory may have run out" if -code == signal.SIGKILL else ""
    return f"the process was ended by signal {-code} ({signal.strsignal(-code)}{memory})"


@contextlib.contextmanager
def worker(task: Task, command: Sequence[str] = WORKER) -> Iterator[Worker]:
    """A fresh process at work on `task`, in a session of its own: Ctrl-C reaches the duel alone, and ending it ends
    whatever it started. It finds modules where this process does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        child = Worker(process, said)
        with process.stdin as orders, process.stdout, undone(child.end):
            with contextlib.suppress(BrokenPipeError):  # it has ended at once: its last words are asked for later
                orders.write(msgspec.json.encode(task) + b"\n")
                orders.flush()
            yield child
