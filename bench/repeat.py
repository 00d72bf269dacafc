"""Does a second run tell the same? `tfopt profile` twice on each real model, in fresh processes, layer by layer.

    python -m bench.repeat [--runs 2] [--option=--xla] [FILE ...]

Without files: those of the folder TFOPT_REAL_MODELS that can be profiled. Goal: every layer that takes 5 % of the step
in the first run has a share within 20 % of that in the others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench import strangers
from tfopt.records.profile import ProfileRecord

NOTABLE, GOAL = 0.05, 0.20
SUFFIXES = (".keras", ".h5")


def main() -> None:
    """Print the layer that differs most, per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--option", action="append", default=[], help="an option of tfopt profile, such as --xla")
    arguments = parser.parse_args()
    real = strangers.folder("models")
    files = arguments.files or sorted(file for file in real.iterdir() if file.suffix in SUFFIXES)
    print(f"{'model':34} {'step':>9} {'layers':>6}  {'most different':28} {'shares':22} change  goal")
    for file in files:
        records = [_profiled(file, arguments.option) for _ in range(arguments.runs)]
        if all(records):
            _report(file.name, [record for record in records if record])


def _profiled(file: Path, options: list[str]) -> ProfileRecord | None:
    """The record of a run in a process of its own, None where the file is refused."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "record.json"
        command = [sys.executable, "-m", "tfopt", "profile", str(file), "--no-save", "--quiet", "-o", str(output)]
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        return msgspec.json.decode(output.read_bytes(), type=ProfileRecord) if done.returncode == 0 else None


def _report(name: str, records: list[ProfileRecord]) -> None:
    first, *others = ({row.path: row.share for row in record.layers} for record in records)
    notable = [path for path, share in first.items() if share >= NOTABLE and not path.startswith("(")]
    shares = {path: [first[path], *(other[path] for other in others)] for path in notable}
    change = {path: max(abs(share / of[0] - 1) for share in of) for path, of in shares.items()}
    worst = max(change, key=change.__getitem__)
    shown = ", ".join(f"{share:.1%}" for share in shares[worst])
    verdict = "met" if change[worst] <= GOAL else "missed"
    step = records[0].step.median_ms
    print(f"{name:34} {step:6.2f} ms {len(notable):6}  {worst[-28:]:28} {shown:22} {change[worst]:6.1%}  {verdict}")


if __name__ == "__main__":
    main()
