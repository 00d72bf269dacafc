"""Damaged files: does tfopt refuse them in two lines, or live with them? Never a traceback, a hang, a file written.

    python -m bench.fuzz models|traces [--count 2000] [--seed 0] [--first 0] [--keep FOLDER] [--fresh]

Each case is a sound file (`bench.fuzzing.seeds`) with one kind of damage, both drawn from `--seed` and the case's
number, and a run of `tfopt profile FILE --no-save` or `tfopt report FILE` in a forked child. Allowed endings: success,
or exit code 3 with exactly the lines `error: …` and `help: …`; under 30 s and 4 GB; no file changed or left behind.
`--fresh` runs each case a second time in a process that forks from nothing, and compares the endings. `--keep` keeps
the files of the cases that failed. Exit code 1 where a case failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random

from bench.fuzzing import archives, configs, hdf5s, traces, wires  # noqa: F401  # they register their mutators
from bench.fuzzing.arena import SOUND, Outcome, watched
from bench.fuzzing.mutators import MUTATORS
from bench.fuzzing.seeds import Seed, read_seed, real_seeds

# A fresh seed is drawn this many times as often as a stranger's: it is small, so that its damage is more varied.
_FRESH_WEIGHT = 6


@dataclass(frozen=True)
class Case:
    """One damaged file, and the command that meets it."""

    number: int
    seed: Seed
    damage: str
    files: dict[str, bytes]
    options: tuple[str, ...]


def families(content: bytes, name: str) -> tuple[str, ...]:
    """What kinds of damage fit a file, the more telling ones repeated."""
    if content.startswith(b"PK\x03\x04"):
        return ("any", "zip", "zip", "config", "config", "config")
    if content.startswith(b"\x89HDF"):
        return ("any", "hdf5", "hdf5", "config")
    if name.endswith(".xplane.pb"):
        return ("any", "wire", "xspace")
    return ("any", "wire", "wire") if name.endswith(".pb") else ("any",)


def damaged(content: bytes, name: str, rng: Random) -> tuple[str, bytes]:
    """The name of the damage, and what it left of `content`."""
    family = rng.choice(families(content, name))
    if family == "config" and content.startswith(b"PK"):
        return "config", archives.in_member(content, archives.CONFIG, "config", rng)
    if family == "config":
        return "config", MUTATORS["hdf5"]["damage_config"](content, rng)
    choice = rng.choice(sorted(MUTATORS[family]))
    return choice, MUTATORS[family][choice](content, rng)


def draw(number: int, seed: int, seeds: Sequence[Seed], options: Callable[[Seed, Random], tuple[str, ...]]) -> Case:
    """The case of this number."""
    rng = Random(f"{seed}:{number}")
    chosen = rng.choice(seeds)
    files = dict(chosen.files)
    part = rng.choice(sorted(files))
    damage = "-"
    try:
        damage, files[part] = damaged(files[part], part or chosen.name, rng)
    except Exception:  # a stranger's file may not be what the mutator needs (the LFS pointer is no zip archive)
        damage, files[part] = "flip_bytes", MUTATORS["any"]["flip_bytes"](files[part], rng)
    return Case(number, chosen, damage, files, options(chosen, rng))


def profile_options(seed: Seed, rng: Random) -> tuple[str, ...]:
    """One short run, in both modes (training takes longer); a SavedModel has one only."""
    mode = rng.choice(("train", "infer", "infer")) if "" in seed.files else "infer"
    return ("--no-save", "--steps", "1", "--trace-steps", "1", "--mode", mode)


def report_options(seed: Seed, rng: Random) -> tuple[str, ...]:
    """As it is, or per op."""
    return rng.choice(((), ("--by", "op", "--top", "0")))


@dataclass(frozen=True)
class Command:
    """What meets the files: a verb, the options of a case, and the rooms that it imports from."""

    verb: str
    options: Callable[[Seed, Random], tuple[str, ...]]
    rooms: tuple[str, ...]


COMMANDS = {
    "models": Command("profile", profile_options, ("cli", "report", "trace", "model", "workload", "profiling")),
    "traces": Command("report", report_options, ("cli", "report", "trace")),
}


def import_all(rooms: Sequence[str]) -> None:
    """Import every module that the command may need, so that a fork need not; TensorFlow starts no threads by it."""
    if "model" in rooms:
        from tfopt.workload.runtime import import_tensorflow

        import_tensorflow()
    for room in rooms:
        package = import_module(f"tfopt.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)


def run_fresh(args: Sequence[str]) -> int:
    """The command in a process that shares nothing with this one."""
    return subprocess.run([sys.executable, "-m", "tfopt", *args], check=False).returncode


def make_seeds(what: str, folder: Path) -> Path:
    """Small files made now, in a process of its own: what has run TensorFlow cannot fork."""
    folder.mkdir()
    command = [sys.executable, "-m", "bench.fuzzing.seeds", what, str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def run_case(case: Case, verb: str, folder: Path, fresh: bool) -> Outcome:
    """How the command meets the case's file; with `fresh`, in a process of its own too, which must end likewise."""
    from tfopt.cli.main import main as tfopt

    args = [verb, str(case.seed.write(folder / "case" / "given", case.files)), *case.options]
    outcome = watched(tfopt, args, folder)
    if fresh:
        again = watched(run_fresh, args, folder)
        if (again.code, again.message()) != (outcome.code, outcome.message()):
            print(f"#{case.number} ends in a fork with {outcome.code}, by itself with {again.code}: {again.message()}")
    return outcome


def show(case: Case, outcome: Outcome) -> None:
    """A case by itself, with the end of what it said."""
    print(f"#{case.number} {case.seed.name} {case.damage}: {outcome.verdict} ({outcome.seconds:.1f} s)")
    print("".join(f"    {line[:300]}\n" for line in outcome.stderr.splitlines()[-8:]), end="", flush=True)


def summary(endings: Sequence[tuple[Case, Outcome]]) -> int:
    """Print messages, damages and verdicts with their counts; gives the exit code."""
    messages = Counter(outcome.message() for _, outcome in endings if outcome.code)
    damages = Counter(f"{case.damage:20} {outcome.verdict}" for case, outcome in endings)
    for title, counted in (("messages", messages), ("damages", damages)):
        print(f"\n{title}")
        print(*(f"{count:6}  {text}" for text, count in counted.most_common()), sep="\n")
    verdicts = Counter(outcome.verdict for _, outcome in endings)
    slowest = max(endings, key=lambda ended: ended[1].seconds)
    largest = max(endings, key=lambda ended: ended[1].peak_bytes)
    print(f"\n{len(endings)} cases: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
    print(f"slowest {slowest[1].seconds:.1f} s (#{slowest[0].number})")
    print(f"largest {largest[1].peak_bytes / 2**20:.0f} MB (#{largest[0].number})")
    return int(not verdicts.keys() <= SOUND)


def pretend_machine(folder: Path) -> None:
    """Keep made-up roofs in `folder` and have tfopt look there, so that no case measures any."""
    import tensorflow as tf

    from tfopt.records.machine import Machine
    from tfopt.workload.cpu import cpu_name
    from tfopt.workload.machine_cache import Key, keep

    os.environ["TFOPT_CACHE_DIR"] = str(folder)
    threads = len(os.sched_getaffinity(0))  # asking TensorFlow would start it, and no fork of it would run
    key = Key(cpu_name(), "CPU", threads, tf.__version__)
    made_up = Machine(
        cpu=key.cpu,
        device=key.device,
        threads=key.threads,
        tensorflow=key.tensorflow,
        peak_gflops={"float32": 100.0},
        bandwidth_gb_per_s=10.0,
        measured_at="",
    )
    keep(made_up, key)


def main() -> int:
    """Run the cases and print the tables; Ctrl-C prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, help="fresh files, made before")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    command = COMMANDS[options.what]
    endings: list[tuple[Case, Outcome]] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root, contextlib.suppress(KeyboardInterrupt):
        made = options.seeds or make_seeds(options.what, Path(root, "seeds"))
        fresh = [read_seed(path) for path in sorted(made.iterdir())]
        seeds = [*real_seeds(options.what), *fresh * _FRESH_WEIGHT]
        import_all(command.rooms)
        if options.what == "models":
            pretend_machine(Path(root, "cache"))
        for number in range(options.first, options.first + options.count):
            case, folder = draw(number, options.seed, seeds, command.options), Path(root, str(number))
            outcome = run_case(case, command.verb, folder, options.fresh)
            if outcome.verdict not in SOUND or options.count == 1:
                show(case, outcome)
                if options.keep:
                    shutil.copytree(folder, options.keep / f"{options.what}-{number}", dirs_exist_ok=True)
            shutil.rmtree(folder)
            case.files.clear()  # two thousand damaged models are some GB
            endings.append((case, outcome))
    return summary(endings)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
