"""A worker process of a duel: `python -m tfopt.workload.duel.worker`, task on standard input, messages on output.

Standard output belongs to the messages alone: what TensorFlow, or the user's code, prints there goes to standard
error. The process ends with its parent: its standard input, which nobody writes to after the task, is then at its end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import msgspec

from tfopt.errors import TfoptError
from tfopt.workload.duel.messages import Doing, Message, Refused, Task
from tfopt.workload.runtime import import_tensorflow, set_threads

__all__ = ["main"]


def main() -> None:
    """Do the task that standard input holds, then end at once: TensorFlow's tidying is slow and of no use."""
    channel = os.dup(1)
    os.dup2(2, 1)

    def say(message: Message) -> None:
        os.write(channel, msgspec.json.encode(message) + b"\n")

    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(task, say)
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _serve(task: Task, say: Callable[[Message], None]) -> None:
    label = ""
    try:
        say(Doing(label, "loading TensorFlow"))
        import_tensorflow()
        set_threads(task.baseline.threads)

        from tfopt.workload.duel.blocks import fight, ready

        label = task.baseline.label
        baseline = ready(task.baseline, say)
    except TfoptError as error:
        say(_refused(label, error))
        return
    for contestant in task.arms:
        try:
            fight(baseline, ready(contestant, say), task, say)
        except TfoptError as error:
            say(_refused(contestant.label, error))


def _refused(label: str, error: TfoptError) -> Refused:
    return Refused(label, type(error).__name__, error.message, error.hint)


if __name__ == "__main__":
    main()
