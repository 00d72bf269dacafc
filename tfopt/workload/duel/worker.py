"""A worker process of a duel: `python -m tfopt.workload.duel.worker`."""

from __future__ import annotations

from collections.abc import Callable

from tfopt.errors import TfoptError
from tfopt.workload.duel.messages import Message, Task
from tfopt.workload.runtime import import_tensorflow, set_threads
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.served import served

__all__ = ["main"]


def main() -> None:
    """Do the task that standard input holds."""
    served(Task, _serve)


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
        say(Refused.of(label, error))
        return
    for contestant in task.arms:
        try:
            fight(baseline, ready(contestant, say), task, say)
        except TfoptError as error:
            say(Refused.of(contestant.label, error))


if __name__ == "__main__":
    main()
