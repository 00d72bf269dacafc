"""How much does a foreign trace cost to read? A synthetic one of a million events, and the real ones if they are here.

    python -m bench.traces [--events 1000000]

Writes a trace, half host ops and half device kernels joined to XLA programs, then runs `tfopt report` on it in a fresh
process. Goals for 10^6 events: at most 15 CPU s and 2 GB at the peak; for each trace of `TFOPT_REAL_TRACES`: at most 1
CPU s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import strangers
from tfopt.trace.protos import message

GOAL_SECONDS, GOAL_BYTES, GOAL_REAL_SECONDS = 15.0, 2e9, 1.0
PERIOD_PS = 10_000_000  # from one event of a thread to the next
LAYERS, STREAMS, THREADS, DEVICES = 400, 4, 8, 4
STATS = {1: "hlo_op", 2: "program_id", 3: "correlation_id", 4: "tf_op", 5: "kernel_details", 6: "step_num"}


def main() -> None:
    """Print CPU seconds and peak memory of `tfopt report` on each trace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host.xplane.pb"
        path.write_bytes(synthetic(events))
        seconds, peak = cost(path)
        print(f"synthetic: {path.stat().st_size / 1e6:.0f} MB, {events} events")
        print(f"  CPU     {seconds:5.2f} s   goal ≤ {GOAL_SECONDS:.0f} s   {verdict(seconds <= GOAL_SECONDS)}")
        print(f"  memory  {peak / 1e9:5.2f} GB  goal ≤ {GOAL_BYTES / 1e9:.0f} GB   {verdict(peak <= GOAL_BYTES)}")
    for path in sorted(strangers.folder("traces").glob("*.xplane.pb")):
        seconds, peak = cost(path)
        goal = f"goal ≤ {GOAL_REAL_SECONDS:.0f} s   {verdict(seconds <= GOAL_REAL_SECONDS)}"
        print(f"{path.name}: {seconds:.2f} CPU s  {goal}")


def verdict(met: bool) -> str:
    """The word for a goal."""
    return "met" if met else "missed"


def cost(path: Path) -> tuple[float, float]:
    """CPU seconds and peak bytes of `tfopt report PATH` in a process of its own, started by one that is small."""
    script = (
        "import resource, subprocess, sys; command = [sys.executable, '-m', 'tfopt', 'report', sys.argv[1]]; "
        "done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); assert done.returncode in (0, 3); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


def synthetic(events: int) -> bytes:
    """An XSpace with `events` events: half ops of the host's threads in steps, half kernels of devices, with HLO."""
    space = message("XSpace")()
    host = plane(space, "/host:CPU")
    for layer in range(LAYERS):
        host.event_metadata.add(key=layer).value.name = f"model_1/dense_{layer}/MatMul:MatMul"
    host.event_metadata.add(key=LAYERS).value.name = "train"
    host.event_metadata.add(key=LAYERS + 1).value.name = "model_1/while:While"
    half, steps = events // 2, 100
    per_thread = half // THREADS
    marks = message("XLine")(name="python")
    for step in range(steps):
        length = per_thread * PERIOD_PS // steps
        number = message("XStat")(metadata_id=6, int64_value=step).SerializeToString()
        marks.events.add(metadata_id=LAYERS, offset_ps=step * length, duration_ps=length, stats=[number])
    host.lines.append(marks.SerializeToString())
    for thread in range(THREADS):
        line = message("XLine")(id=thread, name=f"tf_Compute/{thread}")
        for at in range(per_thread):
            if at % 100 == 0:  # a loop around the next hundred: nested events are the slow path
                line.events.add(metadata_id=LAYERS + 1, offset_ps=at * PERIOD_PS, duration_ps=100 * PERIOD_PS)
            line.events.add(metadata_id=at % LAYERS, offset_ps=at * PERIOD_PS, duration_ps=PERIOD_PS * 9 // 10)
        host.lines.append(line.SerializeToString())
    for device in range(DEVICES):
        kernels(plane(space, f"/device:GPU:{device}"), (events - half) // DEVICES // STREAMS)
    program(plane(space, "/host:metadata"))
    return space.SerializeToString()


def plane(space: Any, name: str) -> Any:
    """A new plane that knows the names of all stats."""
    added = space.planes.add(name=name)
    for key, stat in STATS.items():
        added.stat_metadata.add(key=key).value.name = stat
    return added


def kernels(device: Any, per_stream: int) -> None:
    """Streams full of kernels, each event with stats as a GPU writes them."""
    for layer in range(LAYERS):
        device.event_metadata.add(key=layer).value.name = f"gemm_fusion_dot_{layer}"
        device.stat_metadata.add(key=100 + layer).value.name = f"fusion.{layer}"
    encode = message("XStat")
    fixed = [
        [
            encode(metadata_id=1, ref_value=100 + layer).SerializeToString(),
            encode(metadata_id=2, uint64_value=7).SerializeToString(),
            encode(metadata_id=4, str_value="XlaModule:").SerializeToString(),
            encode(metadata_id=5, str_value="grid:16,1,1 block:512,1,1").SerializeToString(),
        ]
        for layer in range(LAYERS)
    ]
    for stream in range(STREAMS):
        line = message("XLine")(id=stream, name=f"Stream #{stream}(Kernel)")
        for at in range(per_stream):
            correlation = encode(metadata_id=3, uint64_value=stream * per_stream + at).SerializeToString()
            stats = [correlation, *fixed[at % LAYERS]]
            line.events.add(
                metadata_id=at % LAYERS, offset_ps=at * PERIOD_PS + stream, duration_ps=PERIOD_PS // 2, stats=stats
            )
        device.lines.append(line.SerializeToString())


def program(metadata: Any) -> None:
    """One XLA program whose instructions carry scoped names, half of them of a backward pass."""
    hlo = message("HloProto")()
    computation = hlo.hlo_module.computations.add(name="main", id=1)
    for layer in range(LAYERS):
        instruction = computation.instructions.add(name=f"fusion.{layer}", opcode="fusion", id=layer)
        way = "transpose(jvp(Net))" if layer % 2 else "jvp(Net)"
        instruction.metadata.op_name = f"jit(step)/{way}/dense_{layer // 2}/dot_general"
    metadata.stat_metadata.add(key=50).value.name = "Hlo Proto"
    kind = metadata.event_metadata.add(key=7)
    kind.value.name = "jit_step(7)"
    kind.value.stats.add(metadata_id=50, bytes_value=hlo.SerializeToString())


if __name__ == "__main__":
    main()
