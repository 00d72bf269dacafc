"""The worker process of drift: `python -m tfopt.workload.drift.worker`, task on standard input, messages on output.

All arms are compared in one process, so that TensorFlow and the reference are paid for once.
"""

from __future__ import annotations

from collections.abc import Callable

from tfopt.errors import TfoptError
from tfopt.workload.drift.messages import DriftMessage, DriftTask
from tfopt.workload.runtime import import_tensorflow, set_threads
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.served import served

__all__ = ["work"]

Say = Callable[[DriftMessage], None]


def work(task: DriftTask, say: Say) -> None:
    """Compare each arm with the reference; what cannot be run is refused, and the others go on."""
    label = task.reference.label
    try:
        say(Doing(label, "loading TensorFlow"))
        import_tensorflow()
        set_threads(task.reference.threads)

        from tfopt.workload.drift.comparing import Comparing

        say(Doing(label, "computing"))
        comparing = Comparing.of(task, say)
    except TfoptError as error:
        say(Refused.of(label, error))
        return
    for arm in task.arms:
        try:
            say(Doing(arm.label, "computing"))
            comparing.compare(arm)
        except TfoptError as error:
            say(Refused.of(arm.label, error))


if __name__ == "__main__":
    served(DriftTask, work)
