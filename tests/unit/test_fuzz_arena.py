"""The arena sees what a command does wrong: without this, two thousand sound endings prove nothing."""

from __future__ import annotations

import io
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import h5py
import numpy as np
import pytest
from traces_for_tests import gpu

from bench import fuzz
from bench.fuzzing import archives, arena
from bench.fuzzing.seeds import Seed
from tfopt.model.archive import WEIGHTS

TWO_LINES = "error: no\nhelp:  yes\n"


def _say(code: int, out: str = "", err: str = "") -> Callable[[Sequence[str]], int]:
    def main(args: Sequence[str]) -> int:
        os.write(1, out.encode())
        os.write(2, err.encode())
        return code

    return main


def _write(args: Sequence[str]) -> int:
    Path("left").write_text("x")
    return _say(3, err=TWO_LINES)(args)


def _touch(args: Sequence[str]) -> int:
    Path(args[0]).write_text("other")
    return _say(3, err=TWO_LINES)(args)


def _raise(args: Sequence[str]) -> int:
    raise RecursionError


def _hang(args: Sequence[str]) -> int:
    time.sleep(60)
    return 0


def _die(args: Sequence[str]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _fill(args: Sequence[str]) -> int:
    with mmap.mmap(-1, 200 * 2**20) as memory:  # not what this process once had and keeps for itself
        memory.write(bytes(len(memory)))
    return _say(0, "filled\n")(args)


@pytest.mark.parametrize(
    ("main", "verdict"),
    [
        (_say(3, err=TWO_LINES), "refused"),
        (_say(0, out="table\n"), "accepted"),
        (_say(3, err="error: no\n"), "NOT TWO LINES"),
        (_say(3, err="WARNING: x\n" + TWO_LINES), "NOT TWO LINES"),
        (_say(3, err="error: \x1b[31mno\nhelp:  yes\n"), "UNREADABLE LINES"),
        (_say(3, out="table\n", err=TWO_LINES), "OUTPUT of a refusal"),
        (_say(4, err=TWO_LINES), "EXIT CODE 4"),
        (_say(0, err="a warning\n", out="table\n"), "NOISE on stderr"),
        (_say(0), "SILENT SUCCESS"),
        (_raise, "TRACEBACK"),
        (_write, "WROTE here/left"),
        (_touch, "WROTE given"),
        (_hang, "HANG over 1 s"),
        (_fill, "MEMORY "),
        (_die, "KILLED by SIGKILL"),
    ],
)
def test_verdicts(
    main: Callable[[Sequence[str]], int], verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if main is _hang:
        monkeypatch.setattr(arena, "LIMIT_S", 1.0)
    if main is _fill:
        monkeypatch.setattr(arena, "LIMIT_BYTES", 150 * 2**20)
    (tmp_path / "case").mkdir()
    given = tmp_path / "case" / "given"
    given.write_text("sound")
    sys.stdout.flush()
    assert arena.watched(main, [str(given)], tmp_path).verdict.startswith(verdict)


def test_a_case_is_its_number() -> None:
    seeds = [
        Seed("a.keras", {"": b"PK\x03\x04" + bytes(range(256)) * 8}),
        Seed("b.xplane.pb", {"": b"\x0a\x02ab" * 99}),
    ]
    first, again = ([fuzz.draw(number, 0, seeds, fuzz.report_options) for number in range(50)] for _ in range(2))
    assert first == again
    assert len({(case.damage, *case.files.values()) for case in first}) > 40
    assert fuzz.draw(0, 1, seeds, fuzz.report_options).files != first[0].files


def _archive() -> bytes:
    return archives.write_members(
        [("config.json", b'{"class_name": "M", "config": {"name": "m"}}'), ("metadata.json", b"{}"), (WEIGHTS, _hdf5())]
    )


def _hdf5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened["layer/kernel"] = np.ones((3, 4), "float32")
        opened.attrs["model_config"] = '{"class_name": "M", "config": {"layers": []}}'
    return file.getvalue()


UNDAMAGED = {
    "any": b"\x0a\x06\x12\x04name" + b"\x0a\x00" * 50,
    "wire": b"\x0a\x06\x12\x04name" + b"\x0a\x00" * 50,
    "config": b'{"class_name": "M", "config": {"layers": [{"units": 3}], "name": "m"}}',
    "zip": _archive(),
    "hdf5": _hdf5(),
    "xspace": gpu(),
}


@pytest.mark.parametrize("family", fuzz.MUTATORS)
def test_every_mutator_runs(family: str) -> None:
    """None of them is hidden by an error of its own: `draw` falls back to flipping bytes."""
    for name, change in fuzz.MUTATORS[family].items():
        for number in range(5 if name != "bomb" else 0):
            assert isinstance(change(UNDAMAGED[family], Random(number)), bytes), name
