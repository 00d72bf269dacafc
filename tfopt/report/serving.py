"""TensorBoard as a child process: started on a free port, watched until it answers, ended with us."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import IO

from tfopt.errors import RunFailed, UsageError
from tfopt.undo import undone

__all__ = ["Server", "free_port", "tensorboard"]

_USUAL_PORT = 6006  # TensorBoard's own default
_TRIES = 20
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Server:
    """A TensorBoard that was started: its process, where it will answer, and what it says (None: to our stderr)."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: IO[bytes] | None

    @property
    def address(self) -> str:
        """Where the server answers, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the profiler's page."""
        return f"{self.address}/#profile"

    def wait_until_ready(self, seconds: float = math.inf) -> None:
        """Return when the server accepts connections; RunFailed if it ends before, TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.1)
        raise self._ended()

    def wait(self) -> None:
        """Return never but with RunFailed, when the server ends by itself."""
        self.process.wait()
        raise self._ended()

    def _ended(self) -> RunFailed:
        said = b""
        if self.log is not None:
            self.log.seek(0)
            said = self.log.read().strip().rpartition(b"\n")[2]
        reason = said.decode("utf-8", "replace") or f"exit code {self.process.returncode}"
        return RunFailed(f"TensorBoard stopped: {reason}", "tfopt tensorboard --verbose shows all it says")


def free_port(host: str, wanted: int | None) -> int:
    """A port to listen on at `host`: `wanted` (0: any), else the first free one from 6006 on.

    UsageError where `wanted` is taken or `host` is no address of this machine.
    """
    candidates = range(_USUAL_PORT, _USUAL_PORT + _TRIES) if wanted is None else (wanted,)
    try:
        family, *_ = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"no such host: {host}", "use an address of this machine, such as 127.0.0.1") from error
    refused: OSError | None = None
    for port in candidates:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                refused = error
                continue
            return int(probe.getsockname()[1])
    reason = refused.strerror if refused is not None else "no port"
    raise UsageError(f"cannot listen on {host}:{candidates[0]}: {reason}", "--port 0 takes any free port")


@contextlib.contextmanager
def tensorboard(runs: str, host: str, port: int, *, noisy: bool, temporary: str | None = None) -> Iterator[Server]:
    """TensorBoard serving the folder `runs` while the block runs; it never outlives it. It keeps notes about itself in
    the folder `temporary` (default: where temporary files go)."""
    if find_spec("tensorboard") is None:
        raise RunFailed("TensorBoard is not installed", "pip install tensorboard tensorboard-plugin-profile")
    # -P: a folder called tensorboard in the working directory is not the module we mean.
    command = [sys.executable, "-P", "-m", "tensorboard.main"]
    command += ["--logdir", os.path.abspath(runs), "--host", host, "--port", str(port)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **({"TMPDIR": temporary} if temporary else {})}
    with contextlib.ExitStack() as stack:
        log = None if noisy else stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log or sys.stderr, stderr=log or sys.stderr
        )
        stack.enter_context(undone(lambda: _end(process)))
        yield Server(process, _WILDCARDS.get(host, host), port, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
