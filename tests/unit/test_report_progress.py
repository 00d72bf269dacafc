"""Progress: alive on a terminal, plain elsewhere, and independent of file descriptor 2."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfopt.report.live import live
from tfopt.report.progress import watched

_WORK = """
import os, sys
from tfopt.report.progress import watched
with watched(quiet={quiet}, verbose={verbose}, color=False) as progress:
    progress("loading [red]TensorFlow\\x1b[2J", None)
    saved = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.write(2, b"noise")
    progress("measuring", 0.25)
    progress("measuring", 1.0)
    os.dup2(saved, 2)
print("rich" in sys.modules)
"""


def _run(quiet: bool = False, verbose: bool = False) -> subprocess.CompletedProcess[str]:
    code = _WORK.format(quiet=quiet, verbose=verbose)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_a_pipe_gets_a_line_per_stage_if_verbose_and_no_rich() -> None:
    done = _run(verbose=True)
    assert done.stderr == "loading [red]TensorFlow\\x1b[2J\nmeasuring\n"
    assert done.stdout == "False\n"


def test_a_pipe_gets_nothing_otherwise() -> None:
    assert _run().stderr == _run(quiet=True, verbose=True).stderr == ""


def _on_terminal(code: str, tmp_path: Path) -> str:
    """What `code` writes to a terminal in place of its standard error."""
    pty = pytest.importorskip("pty")
    outer, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=inner, env=environment)
    os.close(inner)
    written = b""
    while True:
        try:
            part = os.read(outer, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not part:
            break
        written += part
    os.close(outer)
    assert child.wait() == 0
    return written.decode()


def test_a_terminal_gets_a_live_line_and_keeps_stages_if_verbose(tmp_path: Path) -> None:
    shown = _on_terminal(_WORK.format(quiet=False, verbose=True), tmp_path)
    assert "loading [red]TensorFlow\\x1b[2J  0." in shown
    assert "measuring  0." in shown
    assert "noise" not in shown
    assert "\x1b[2J" not in shown
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[?25h" in shown  # the cursor is back


def test_there_is_a_bar_only_while_the_fraction_is_known() -> None:
    stream = io.StringIO()
    with live(stream, verbose=False, color=True) as progress:
        progress("measuring", 0.5)
        assert "━" in stream.getvalue()
        stream.truncate(0)
        progress("writing", None)
        assert "writing" in stream.getvalue()
        assert "━" not in stream.getvalue()


def test_a_terminal_stays_silent_if_quiet(tmp_path: Path) -> None:
    assert _on_terminal(_WORK.format(quiet=True, verbose=True), tmp_path) == ""


def test_errors_pass_through() -> None:
    def work() -> None:
        with watched(verbose=True) as progress:
            progress("working", None)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        work()
