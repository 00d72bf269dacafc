"""How much do reading a trace and placing its time cost? MobileNetV2, batch 16, 96 px, five steps.

    python -m bench.reading [--rounds 5]

Records the trace once, then reads it in fresh processes: CPU seconds beyond the imports, and peak memory beyond them
as a multiple of the file. Goals: at most 0.6 CPU s and 8 × the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_SECONDS, GOAL_MEMORY = 0.6, 8.0

READ = """
import json, resource, sys, time
from pathlib import Path
import numpy
from tfopt.profiling.tables import op_rows
from tfopt.trace.attribution import attribute
from tfopt.trace.graph import Graph
from tfopt.trace.hlo import programs
from tfopt.trace.recording import record
from tfopt.trace.scopes import ScopeTable
from tfopt.trace.timeline import sweep
from tfopt.trace.xspace import read_space
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, started = peak(), time.process_time()
space = read_space(Path(sys.argv[1]))
recording = record(space)
timeline = sweep(recording)
graph = Graph.of(())
attributions = attribute(recording.ops, ScopeTable(), graph, programs(space))
placed = [number for number, attribution in enumerate(attributions) if attribution.charges]
ops, attributions = [recording.ops[number] for number in placed], [attributions[number] for number in placed]
op_rows(ops, timeline.only(placed), attributions, len(recording.steps), 1.0)
print(json.dumps({"cpu_s": time.process_time() - started, "memory": (peak() - before) / space.bytes,
                  "bytes": space.bytes, "events": recording.events}))
"""


def main() -> None:
    """Print CPU seconds and memory of reading the trace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        profile = ["-m", "tfopt", "profile", "app:MobileNetV2", "--input-size", "96", "--batch-size", "16", "--quiet"]
        subprocess.run([sys.executable, *profile, "--run-dir", folder], check=True, stdout=subprocess.DEVNULL)
        trace = next(Path(folder).glob("*/plugins/profile/*/*.xplane.pb"))
        runs = [json.loads(subprocess.check_output([sys.executable, "-c", READ, str(trace)])) for _ in range(rounds)]
    seconds = statistics.median(run["cpu_s"] for run in runs)
    memory = statistics.median(run["memory"] for run in runs)
    print(f"trace: {runs[0]['bytes'] / 1e6:.1f} MB, {runs[0]['events']} events")
    print(f"CPU     {seconds:.2f} s         goal ≤ {GOAL_SECONDS} s   {'met' if seconds <= GOAL_SECONDS else 'missed'}")
    print(f"memory  {memory:.1f} × the file  goal ≤ {GOAL_MEMORY} ×   {'met' if memory <= GOAL_MEMORY else 'missed'}")


if __name__ == "__main__":
    main()
