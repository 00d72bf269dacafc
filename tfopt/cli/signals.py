"""How the command ends when a signal asks it to: soon, tidily, and with the exit code that shells expect.

The first signal raises KeyboardInterrupt in the main thread, so that every `with` and `finally` does its work. That
needs Python: TensorFlow may compile for minutes without it, and libraries may swallow the exception. So a thread,
which C's signal handler wakes through a pipe, ends the process after two seconds, or at once on a second signal.
Only the command does this, never the Python API.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from select import select
from typing import Any

from tfopt.undo import undo_all

__all__ = ["ended", "interruptible", "received"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_GRACE_S = 2.0
_UNDO_S = 3.0

_received: signal.Signals | None = None
_telling: threading.Lock | None = None  # held once the ending was told, by the main thread or by the watching one


class _Interrupted(KeyboardInterrupt):
    """Where a plain KeyboardInterrupt has passed through `eval`, Python ends itself by SIGINT, whatever our code."""


def received() -> signal.Signals | None:
    """The signal that ends this process, if there was one: any failure after it is its doing."""
    return _received


def ended() -> int:
    """Say that a signal (Ctrl-C unless another was received) ended the command; gives the exit code, 128 + signal."""
    number = _received or signal.SIGINT
    if _telling is None or _telling.acquire(blocking=False):
        with contextlib.suppress(OSError):
            os.write(2, b"interrupted\n" if number is signal.SIGINT else b"terminated\n")
    return 128 + number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let signals end the process as said above while the block runs, and after it as the system does: at once.

    A signal that the parent process chose to ignore (nohup, a shell's background job) stays ignored.
    """
    global _telling
    _telling = threading.Lock()
    ours = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_watch, args=(reader,), name="tfopt-signals", daemon=True).start()
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    sys.unraisablehook = _silent
    for number in ours:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        _telling = None if _received is None else _telling
        signal.set_wakeup_fd(-1)
        sys.unraisablehook = sys.__unraisablehook__
        os.close(writer)


def _raise(number: int, frame: Any) -> None:
    """Raise once: what the first signal set off must not be interrupted by the second."""
    global _received
    if _received is None:
        _received = signal.Signals(number)
        raise _Interrupted


def _silent(unraisable: Any) -> None:
    """Nothing can be raised out of a `__del__`: an interrupt that is lost there is left to the watching thread."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _watch(reader: int) -> None:
    """End the process where the block does not end within the grace after a signal, or a second one comes."""
    global _received
    first = os.read(reader, 1)
    if not first or (select([reader], [], [], _GRACE_S)[0] and not os.read(reader, 1)):
        return  # an empty read: the block has ended
    _received = signal.Signals(first[0])
    undoing = threading.Thread(target=undo_all, daemon=True)  # the main thread may hold a lock that it needs
    undoing.start()
    undoing.join(_UNDO_S)
    os._exit(ended())
