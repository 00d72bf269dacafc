"""Does an interrupted tfopt end soon and leave nothing behind? SIGINT and SIGTERM at random moments of every phase.

    python -m bench.interrupt [--count 60] [--seed 0]

Each of `--count` moments is tried with both signals, every other time twice in quick succession, on fresh processes
that run one after the other. A first, undisturbed run of each command tells its phases (the stages that `--verbose`
names) and how long they take; a moment in each phase is drawn in turn. Allowed endings: 128 + signal with one word on
standard error; the signal itself, silently, while Python starts or ends (shells show both as the same), and after the
word where a second signal came while it ended; success, where the work was done; Python's own words, where nothing of
tfopt was loaded yet.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 6.0
STEPS = ("--steps", "20", "--verbose")
COMMANDS = (
    ("profile", "mlp.keras", *STEPS),
    ("profile", "mlp.keras", "--xla", "--no-save", "--recalibrate", "-o", "out.json", *STEPS),
    ("profile", "mlp.h5", "--mode", "infer", *STEPS),
    ("report", "kept", "--verbose", "-o", "out.md"),
)
STAGES = (
    *("loading TensorFlow", "loading mlp", "compiling", "warming up", "measuring", "tracing"),
    *("measuring the machine", "summing over paths", "looking at signals and gradients", "reading the trace"),
)
REMARKS = ("note: ", "wrote ", "showing ")
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
SAVE = "from bench.zoo import ZOO; m = ZOO['mlp'](); m.save('mlp.keras'); m.save('mlp.h5')"


@dataclass(frozen=True)
class Phase:
    """A stage that the command names on standard error (empty before the first), and the seconds it takes."""

    command: tuple[str, ...]
    name: str
    seconds: float


@dataclass(frozen=True)
class Ending:
    """How an interrupted process ended: exit code, seconds since the (last) signal, and what is wrong with it."""

    code: int
    seconds: float
    problems: tuple[str, ...]


class Running:
    """A tfopt process in `folder`, whose lines on standard error are kept with the time they came."""

    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        self.token = os.urandom(8).hex()
        environment = {
            "TFOPT_CACHE_DIR": str(folder.parent / "cache"),
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder.parent / "tmp"),
            "BENCH_TOKEN": self.token,
        }
        self.lines: list[tuple[float, str]] = []
        self.changed = threading.Condition()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tfopt", *command],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self.changed:
                    self.lines.append((time.monotonic(), line.rstrip("\n")))
                    self.changed.notify_all()

    def wait_for(self, stage: str) -> None:
        """Return when `stage` was named, or the process ended."""
        with self.changed:
            while stage and all(line != stage for _, line in self.lines) and self.reader.is_alive():
                self.changed.wait(0.05)

    def orphans(self) -> list[str]:
        """The processes that were started by this one, directly or not, and still run."""
        return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if self._ours(path)]

    def _ours(self, environ: Path) -> bool:
        with contextlib.suppress(OSError):
            return self.token.encode() in environ.read_bytes()
        return False


def main() -> None:
    """Print a table of phases and endings; exit code 1 where one was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with workplace() as folder:
        phases_of((*COMMANDS[0], "--run-dir", "kept"), folder)
        sys.exit(min(1, run(COMMANDS, folder, arguments.count, arguments.seed)))


def run(commands: Sequence[tuple[str, ...]], folder: Path, count: int, seed: int) -> int:
    """Interrupt `commands` at `count` moments with each signal; how many of the endings were not as they must be."""
    rng = random.Random(seed)
    phases = [phase for command in commands for phase in phases_of(command, folder)]
    rng.shuffle(phases)
    table: dict[str, Counter[str]] = {}
    seconds, bad = [], 0
    for number in range(count):
        phase = phases[number % len(phases)]
        moment = rng.uniform(0, phase.seconds)
        for which in WORDS:
            ending = interrupted(phase, moment, which, folder, again=rng.uniform(0, 0.3) if number % 2 else None)
            table.setdefault(phase.name or "starting", Counter())[f"{which.name} → {ending.code}"] += 1
            seconds.append(ending.seconds)
            bad += bool(ending.problems)
            for problem in ending.problems:
                print(f"{' '.join(phase.command)}: {which.name} {moment:.2f} s into {phase.name!r}: {problem}")
    for name, outcomes in table.items():
        print(f"{name:20} " + "   ".join(f"{outcome} ×{times}" for outcome, times in sorted(outcomes.items())))
    print(f"{len(seconds)} interruptions, {bad} of them wrong; seconds to the end: median "
          f"{statistics.median(seconds):.2f}, worst {max(seconds):.2f}")  # fmt: skip
    for command in commands:
        phases_of(command, folder)
    print("afterwards every command works in the same folder")
    return bad


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder with two models; temporary files go beside it."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "work")
        folder.mkdir()
        Path(parent, "tmp").mkdir()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", SAVE], cwd=folder, env=environment, check=True, stderr=subprocess.DEVNULL)
        yield folder


def phases_of(command: tuple[str, ...], folder: Path) -> list[Phase]:
    """Run a command undisturbed and leave the folder as it was: its phases. RuntimeError where it fails."""
    running = Running(command, folder)
    code = running.process.wait()
    ended = time.monotonic()
    running.reader.join()
    if code or leftovers(folder, finished=True):
        raise RuntimeError(f"{command} exits with {code} and leaves {leftovers(folder, finished=True)}")
    named = [(running.started, ""), *((at, line) for at, line in running.lines if line in STAGES)]
    ends = [at for at, _ in named[1:]] + [ended]
    clear(folder)
    return [Phase(command, line, end - at) for (at, line), end in zip(named, ends, strict=True)]


def interrupted(phase: Phase, moment: float, which: signal.Signals, folder: Path, again: float | None) -> Ending:
    """Send a signal `moment` seconds into a phase, and another one `again` seconds later."""
    before = fingerprint(folder)
    running = Running(phase.command, folder)
    running.wait_for(phase.name)
    time.sleep(moment)
    running.process.send_signal(which)
    if again is not None:
        time.sleep(again)
        running.process.send_signal(which)
    sent = time.monotonic()
    try:
        code = running.process.wait(LIMIT_S * 2)
    except subprocess.TimeoutExpired:
        running.process.kill()
        code = running.process.wait()
    seconds = time.monotonic() - sent
    running.reader.join(1)
    said = [line for _, line in running.lines if line not in STAGES and not line.startswith(REMARKS)]
    problems = []
    if seconds > LIMIT_S:
        problems.append(f"it took {seconds:.1f} s to end")
    allowed = [(128 + which, WORDS[which]), (-which,), (0,), *([(-which, WORDS[which])] if again is not None else ())]
    too_early = not phase.name and said and not any(str(ROOT / "tfopt") in line for line in said)
    if (code, *said) not in allowed and not too_early:
        problems.append(f"exit code {code}, and says {said}")
    problems += [f"leaves {name}" for name in leftovers(folder, finished=code == 0)]
    problems += [f"leaves process {number}" for number in running.orphans()]
    if fingerprint(folder) != before:
        problems.append("changed a model")
    clear(folder)
    return Ending(code, seconds, tuple(problems))


def leftovers(folder: Path, *, finished: bool) -> list[str]:
    """What should not be there: anything but the models, whole runs, and whole files that were asked for."""
    found = [str(path) for path in (folder.parent / "tmp").iterdir()]
    for path in folder.iterdir():
        if path.name == "runs":
            found += [f"runs/{run.name}" for run in path.iterdir() if not whole(run)]
            found += [] if any(path.iterdir()) else ["runs, empty"]
        elif path.name not in ("mlp.keras", "mlp.h5", "kept", "out.json", "out.md"):
            found.append(path.name)
    out = folder / "out.json"
    if out.exists():
        json.loads(out.read_text())
    return found


def whole(run_folder: Path) -> bool:
    """Whether a run folder has its visible name, its record, and the trace that the record names."""
    record = run_folder / "record.json"
    if run_folder.name.startswith(".") or not record.is_file():
        return False
    return (run_folder / json.loads(record.read_text())["trace"]["file"]).is_file()


def fingerprint(folder: Path) -> list[tuple[str, int]]:
    """The models' contents and times."""
    models = [folder / "mlp.keras", folder / "mlp.h5"]
    return [(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in models]


def clear(folder: Path) -> None:
    """Remove what runs have made, whole or not."""
    subprocess.run(["rm", "-rf", *(folder / name for name in ("runs", "out.json", "out.md"))], check=True)
    for path in (*(folder.parent / "tmp").iterdir(), *folder.glob(".tfopt*")):
        subprocess.run(["rm", "-rf", path], check=True)


if __name__ == "__main__":
    main()
