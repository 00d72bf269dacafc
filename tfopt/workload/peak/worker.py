"""A process that measures memory: `python -m tfopt.workload.peak.worker`."""

from __future__ import annotations

import contextlib
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

from tfopt.errors import TfoptError
from tfopt.workload.peak.messages import Answer, Asked, Message
from tfopt.workload.runtime import import_tensorflow, set_threads
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.served import served

__all__ = ["main"]

# Steps before those that are measured: the first compiles, and the allocator's arena grows until it has what it needs.
_WARM_STEPS = 2


def main() -> None:
    """Answer what standard input asks."""
    _kill_me_first()
    served(Asked, _serve)


def _serve(asked: Asked, say: Callable[[Message], None]) -> None:
    label = asked.contestant.label
    try:
        say(_answer(asked, lambda phase: say(Doing(label, phase))))
    except TfoptError as error:
        say(Refused.of(label, error))


def _kill_me_first() -> None:
    """Where memory runs out, the kernel shall end this process and no other (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _answer(asked: Asked, begin: Callable[[str], None]) -> Answer:
    begin("loading TensorFlow")
    import_tensorflow()
    set_threads(asked.contestant.threads)

    import keras

    from tfopt.model.load import load
    from tfopt.model.said import said_as_notes
    from tfopt.trace.hlo_buffers import largest_buffers
    from tfopt.trace.xspace import read_space
    from tfopt.workload.capture import capture
    from tfopt.workload.device import place
    from tfopt.workload.failures import StepUnsound, explained
    from tfopt.workload.peak.estimate import estimate, variable_bytes
    from tfopt.workload.peak.measure import added_bytes
    from tfopt.workload.peak.xla import xla_memory
    from tfopt.workload.prepared import prepared
    from tfopt.workload.timing import finished

    contestant = asked.contestant
    placement = place(contestant.device)
    with placement.scope(), said_as_notes([]):
        begin("loading the model")
        keras.utils.set_random_seed(contestant.options.seed)
        loaded = load(
            contestant.model, imports=contestant.imports, unsafe=contestant.unsafe, input_size=contestant.input_size
        )
        workload = prepared(loaded, contestant.options, placement)
        run = workload.runner()
        begin("compiling")
        with explained("the first step", StepUnsound):
            for _ in range(_WARM_STEPS):
                finished(run())
        added = []
        with explained("the step"):
            for number in range(asked.steps):
                begin(f"step {number + 1}")
                with added_bytes(f"{placement.kind}:0") as seen:
                    finished(run())
                added.append(seen.bytes)
        begin("estimating")
        memory, bound = estimate(workload), None
        if workload.xla:
            with tempfile.TemporaryDirectory() as folder:
                trace = capture(run, 1, Path(folder))
                buffers = largest_buffers(read_space(trace.file))
            bound, memory = memory, xla_memory(buffers, *variable_bytes(workload))
    seen_all = None if None in added else tuple(bytes for bytes in added if bytes is not None)
    return Answer(memory, seen_all, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, bound)


if __name__ == "__main__":
    main()
