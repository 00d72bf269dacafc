"""`tfopt doctor` for real: TensorFlow, XLA, the profiler and TensorBoard are tried, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tfopt
from tests.unit.traces_for_tests import host

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty working directory, with a folder for temporary files that no process may still use at the end."""
    for name in ("work", "temporary", "path"):
        (tmp_path / name).mkdir()
    yield tmp_path
    assert list((tmp_path / "work").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []
    left = [file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in _text(file)]
    assert left == []


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def started(place: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(place / "path"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "tfopt", "doctor", "--format", "json", "--verbose"],
        cwd=place / "work",
        env={**os.environ, "TMPDIR": str(place / "temporary"), "PYTHONPATH": path, "http_proxy": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def statuses(out: str) -> dict[str, str]:
    return {finding["id"]: finding["status"] for finding in json.loads(out)["findings"]}


def test_everything_is_tried_here(place: Path) -> None:
    with started(place) as process:
        out, err = process.communicate(timeout=120)
    found = statuses(out)
    assert process.returncode == ("problem" in found.values()), err
    for id in ("tensorflow.import", "tensorflow.xla", "tensorflow.trace", "tensorboard.profile"):
        assert found[id] == "ok", out
    assert "tensorflow.every_op" not in found
    assert "asking TensorBoard" in err


def test_a_broken_tensorflow_is_a_finding(place: Path) -> None:
    (place / "path" / "tensorflow.py").write_text("import os; os.abort()")
    with started(place) as process:
        out, _ = process.communicate(timeout=120)
    found = statuses(out)
    assert process.returncode == 1
    assert found["packages.shadows"] == found["tensorflow.import"] == "problem"
    assert found["tensorflow.xla"] == found["tensorflow.trace"] == found["gpu.seen"] == "unknown"
    assert found["tensorboard.profile"] == "problem"


def test_ctrl_c_leaves_nothing_behind(place: Path) -> None:
    with started(place) as process:
        assert process.stderr is not None
        while "trying TensorFlow" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


@pytest.mark.parametrize(
    "name",
    [
        "plugins/profile/s/vm.xplane.pb",
        "a/b/plugins/profile/s/vm.xplane.pb",
        "a/plugins/x/plugins/profile/s/vm.xplane.pb",
        ".hidden/plugins/profile/s/vm.xplane.pb",
        "vm.xplane.pb",
        "plugins/profile/vm.xplane.pb",
        "profile/s/vm.xplane.pb",
        "plugins/profile/s/deeper/vm.xplane.pb",
        "plugins/profile/s/vm.xplane.pb.bak",
        "plugins/profile/s/xplane.pb",
    ],
)
@pytest.mark.parametrize("inside", ["", "plugins", "plugins/profile", "plugins/profile/s"])
def test_the_profiler_s_plugin_lists_what_the_doctor_says(name: str, inside: str, tmp_path: Path) -> None:
    """A session counts if the plugin would find a host's trace in it."""
    from xprof.profile_plugin import ProfilePlugin

    file = tmp_path / "logs" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(host(steps=True))
    target = tmp_path / "logs" / inside
    if not target.is_dir():
        pytest.skip("not there in this layout")
    flags = SimpleNamespace(master_tpu_unsecure_channel="")
    plugin = ProfilePlugin(SimpleNamespace(logdir=str(target), data_provider=None, flags=flags))
    try:
        runs = list(plugin.generate_runs())
    except ValueError:  # it fails inside of plugins, and TensorBoard shows nothing
        runs = []
    shown = [run for run in runs if _found_by(plugin, run)]
    record = tfopt.doctor(target)
    assert bool(record.of("problem")) != bool(shown)
    assert (record.command == f"tensorboard --logdir {target}") == bool(shown)


def _found_by(plugin: Any, run: str) -> bool:
    try:
        return bool(plugin._get_valid_hosts(plugin._run_to_profile_run_dir[run], run, "trace_viewer@", "", "")[1])
    except FileNotFoundError:
        return False
