"""A worker process from inside: task on standard input, messages on output, one JSON object per line.

Standard output belongs to the messages alone: what TensorFlow, or the user's code, prints there goes to standard
error. The process ends with its parent: its standard input, which nobody writes to after the task, is then at its end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tfopt.model.text import one_line

__all__ = ["served"]

Task = TypeVar("Task")


def served(task_type: type[Task], work: Callable[[Task, Callable[[Any], None]], None]) -> None:
    """Do the task that standard input holds, then end at once: TensorFlow's tidying is slow and of no use.

    `work` is given the task and what sends a message to the parent. What it raises is this process's last word.
    """
    channel = os.dup(1)
    os.dup2(2, 1)

    def say(message: msgspec.Struct) -> None:
        whole = msgspec.json.encode(message) + b"\n"
        while whole:
            whole = whole[os.write(channel, whole) :]

    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=task_type)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(task, say)
    except BaseException as error:  # also SystemExit, of a package that ends its importer
        os.write(2, f"\n{type(error).__name__}: {one_line(error)}\n".encode())
        os._exit(1)
    os._exit(0)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)
