"""The worker process of a census: `python -m tfopt.profiling.census.worker`, task on standard input."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tfopt.errors import TfoptError
from tfopt.profiling.census.messages import CensusMessage, CensusTask, Counted
from tfopt.workload.runtime import import_tensorflow, set_threads
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.served import served

__all__ = ["work"]


def work(task: CensusTask, say: Callable[[CensusMessage], None]) -> None:
    """Find the facts of each model; one that cannot be loaded is refused, and the others go on."""
    say(Doing("", "loading TensorFlow"))
    try:
        import_tensorflow()
        set_threads(task.asked[0].contestant.threads)

        import keras

        from tfopt.profiling.census.finding import model_facts
    except TfoptError as error:
        say(Refused.of("", error))
        return
    for asked in task.asked:
        label = asked.contestant.label
        keras.utils.clear_session(free_memory=False)  # layers without a name of their own are numbered from 1
        try:
            begin = functools.partial(_begin, say, label)
            say(Counted(label, model_facts(asked.contestant, asked.names, begin)))
        except TfoptError as error:
            say(Refused.of(label, error))


def _begin(say: Callable[[CensusMessage], None], label: str, phase: str) -> None:
    say(Doing(label, phase))


if __name__ == "__main__":
    served(CensusTask, work)
