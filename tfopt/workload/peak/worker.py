"""A process that measures memory: `python -m tfopt.workload.peak.worker`, what is asked on standard input.

Standard output belongs to the answer alone; what TensorFlow, or the user's code, prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
from pathlib import Path

import msgspec

from tfopt.errors import TfoptError
from tfopt.workload.peak.messages import Answer, Asked, Failure
from tfopt.workload.runtime import import_tensorflow, set_threads

__all__ = ["main"]

# Steps before those that are measured: the first compiles, and the allocator's arena grows until it has what it needs.
_WARM_STEPS = 2


def main() -> None:
    """Answer what standard input asks, then end at once: TensorFlow's tidying is slow and of no use."""
    channel = os.dup(1)
    os.dup2(2, 1)
    _kill_me_first()
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        answer: Answer | Failure = _answer(asked)
    except TfoptError as error:
        answer = Failure(type(error).__name__, error.message, error.hint)
    os.write(channel, msgspec.json.encode(answer))
    os._exit(0)


def _kill_me_first() -> None:
    """Where memory runs out, the kernel shall end this process and no other (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _answer(asked: Asked) -> Answer:
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
        keras.utils.set_random_seed(contestant.options.seed)
        loaded = load(
            contestant.model, imports=contestant.imports, unsafe=contestant.unsafe, input_size=contestant.input_size
        )
        workload = prepared(loaded, contestant.options, placement)
        run = workload.runner()
        with explained("the first step", StepUnsound):
            for _ in range(_WARM_STEPS):
                finished(run())
        added = []
        with explained("the step"):
            for _ in range(asked.steps):
                with added_bytes(f"{placement.kind}:0") as seen:
                    finished(run())
                added.append(seen.bytes)
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
