"""`tfopt tensorboard`: finds the trace, starts the server on a free port, ends it. With a server that pretends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from cli_for_tests import ROOT, Here, clean_environment

from tfopt.errors import UsageError
from tfopt.report.serving import free_port

_PRETENDER = """
import argparse, http.server, os, sys
parser = argparse.ArgumentParser()
for name in ("logdir", "host", "port"): parser.add_argument("--" + name)
args = parser.parse_args()
print("said on the way", file=sys.stderr)
if os.path.exists(os.path.join(args.logdir, "broken")): sys.exit("it broke")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(args.logdir.encode())
    def log_message(self, *args): pass
open("child.pid", "w").write(str(os.getpid()))
http.server.HTTPServer((args.host, int(args.port)), Handler).serve_forever()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capfd)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a trace, and a module that stands for TensorBoard."""
    trace = tmp_path / "my runs" / "m-1" / "plugins" / "profile" / "2026" / "host.xplane.pb"
    trace.parent.mkdir(parents=True)
    trace.touch()
    package = tmp_path / "path" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(_PRETENDER)
    shadow = tmp_path / "tensorboard"  # in the working directory: must not be taken for the module
    shadow.mkdir()
    (shadow / "main.py").write_text("raise SystemExit('the wrong one')")
    return tmp_path / "my runs"


def _start(runs: Path, *args: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(runs.parent / "path"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tfopt", "tensorboard", str(runs), *args],
        cwd=runs.parent,
        env=clean_environment(PYTHONPATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_says_where_and_ends_with_its_child(runs: Path, number: int, code: int) -> None:
    with _start(runs, "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/#profile")
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.read().decode() == str(runs)
        child = int((runs.parent / "child.pid").read_text())
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    assert "said on the way" not in err
    assert _gone(child)


def test_a_server_that_fails_is_quoted(runs: Path) -> None:
    (runs / "broken").touch()
    with _start(runs, "--port", "0") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (4, "")
    assert err.splitlines()[0] == "error: TensorBoard stopped: it broke"
    assert "--verbose" in err.splitlines()[1]


def test_verbose_lets_the_server_speak(runs: Path) -> None:
    (runs / "broken").touch()
    with _start(runs, "--port", "0", "--verbose") as process:
        _, err = process.communicate(timeout=20)
    assert "said on the way\nit broke\n" in err
    assert "error: TensorBoard stopped: exit code 1" in err


def test_a_folder_without_a_profile_is_said_before_anything_starts(here: Here) -> None:
    assert here("tensorboard").err == (
        "error: runs does not exist\nhelp:  tfopt profile MODEL records a run under runs/\n"
    )
    Path("runs").mkdir()
    said = here("tensorboard")
    assert said.code == 3
    assert said.err == (
        "error: no profile in runs\nhelp:  tfopt profile MODEL records one; tfopt doctor runs says what else is there\n"
    )


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_a_model_is_called_one_as_report_does(here: Here, start: bytes) -> None:
    Path("m.keras").write_bytes(start)
    said = here("tensorboard", "m.keras")
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "error: m.keras is a model, not the record of a run\nhelp:  profile it: tfopt profile m.keras\n"
    )
    assert here("report", "m.keras").err == said.err


def test_arrays_are_not_called_a_model(here: Here) -> None:
    np.savez("batch.npz", x=np.zeros(3), y=np.zeros(3))
    said = here("tensorboard", "batch.npz")
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "error: batch.npz holds NumPy arrays, not the record of a run\n"
        "help:  profile with it: tfopt profile MODEL --data batch.npz\n"
    )
    assert here("report", "batch.npz").err == said.err


def test_ports_in_use_are_left_alone() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0
    assert free_port("127.0.0.1", None) >= 6006
    with pytest.raises(UsageError, match="no such host"):
        free_port("no.such.host.invalid", None)
