"""Run the command line in tests: in a process of its own, or in this one with a profiler that only pretends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_for_tests import flat

from tfopt.cli.main import main
from tfopt.records.profile import ProfileRecord
from tfopt.report.runs import finish_run, unfinished_run

ROOT = Path(__file__).parents[2]


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what changes tfopt's manners, and with the tfopt under test."""
    loud = ("TFOPT_", "_TFOPT", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(loud)}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **more}


def tfopt(*args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m tfopt ARGS` in the folder `cwd`."""
    return subprocess.run(
        [sys.executable, "-m", "tfopt", *args],
        cwd=cwd,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Said:
    """How a command line in this process ended."""

    code: int
    out: str
    err: str


@dataclass
class Pretender:
    """Stands for `tfopt.profile`: keeps what it was called with and gives a ready record."""

    calls: list[dict[str, Any]]
    error: BaseException | None = None

    def __call__(self, model: str, **options: Any) -> Any:
        self.calls.append({"model": model, **options})
        options["progress"]("measuring", 0.5)
        if self.error is not None:
            raise self.error
        if options["run_dir"] is None:
            return kept_in(None)
        with unfinished_run(options["run_dir"]) as unfinished:
            return finish_run(unfinished, model, flat(), unfinished / "plugins" / "host.xplane.pb")


def kept_in(folder: str | None) -> ProfileRecord:
    """A ready record whose run folder is `folder`."""
    record = flat()
    return msgspec.structs.replace(record, trace=msgspec.structs.replace(record.trace, run_dir=folder))


class Here:
    """The command line in this process, in an empty folder, without TensorFlow."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        for name in set(os.environ) - set(clean_environment()):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(folder)
        self.profile = Pretender([])
        monkeypatch.setattr("tfopt.profiling.profile.profile", self.profile)
        self.folder, self.capfd, self.env = folder, capfd, monkeypatch.setenv

    def __call__(self, *args: str) -> Said:
        self.capfd.readouterr()
        code = main(list(args))
        out, err = self.capfd.readouterr()
        return Said(code, out, err)

    @property
    def asked(self) -> dict[str, Any]:
        """What the last profile was asked for."""
        return self.profile.calls[-1]
