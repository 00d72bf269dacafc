"""A signal ends the command soon, with the right code and one word, whatever the main thread is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_for_tests import clean_environment

# The command is real; only what it does is replaced by WORK, inside a block that has something to undo.
_SCRIPT = """
import hashlib, sys, time, types
from pathlib import Path
from tfopt.cli import signals
from tfopt.undo import undone
signals._GRACE_S = SECONDS
fake = types.ModuleType("tfopt.cli.main")
def main(args):
    Path("left").touch()
    with undone(lambda: Path("left").unlink(missing_ok=True)):
        print("working", flush=True)
        WORK
    return 0
fake.main = main
sys.modules["tfopt.cli.main"] = fake
from tfopt.__main__ import main
sys.exit(main())
"""
_NATIVE = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # minutes without Python
_SWALLOWING = """
        while True:
            try: time.sleep(60)
            except BaseException: pass"""
_LOST = """
        class Slow:
            def __del__(self): print("working", flush=True); time.sleep(60)
        Slow(); time.sleep(60)"""


def _start(work: str, folder: Path, before: str = "", grace: float = 0.5) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(before + _SCRIPT.replace("WORK", work).replace("SECONDS", str(grace)))
    process = subprocess.Popen(
        [sys.executable, "-m", "script"],  # with -m Python has its own views on interrupts
        cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(work.count("working") + 1):
        assert process.stdout.readline() == "working\n"
    return process


_WORKS = {
    "sleeps": "time.sleep(60)",
    "eval": "eval('time.sleep(60)')",
    "native": _NATIVE,
    "eats": _SWALLOWING,
    "del": _LOST,
}
_INTERRUPT, _TERMINATE, _HANG_UP = (
    (signal.SIGINT, 130, "interrupted\n"),
    (signal.SIGTERM, 143, "terminated\n"),
    (signal.SIGHUP, 129, "terminated\n"),
)


@pytest.mark.parametrize(
    ("work", "number", "code", "word"),
    [
        *((work, *_TERMINATE) for work in _WORKS.values()),
        (_WORKS["sleeps"], *_INTERRUPT),
        (_WORKS["native"], *_INTERRUPT),
        (_WORKS["sleeps"], *_HANG_UP),
    ],
)
def test_a_signal_ends_whatever_runs(work: str, number: int, code: int, word: str, tmp_path: Path) -> None:
    with _start(work, tmp_path) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, word)
    assert not (tmp_path / "left").exists()


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with _start(_NATIVE, tmp_path, grace=60) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert (process.returncode, err) == (130, "interrupted\n")
    assert not (tmp_path / "left").exists()


def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    with _start("time.sleep(1)", tmp_path, ignore) as process:
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_an_error_made_of_an_interrupt_is_an_interrupt(tmp_path: Path) -> None:
    code = (
        "import sys, time, types\n"
        "fake = types.ModuleType('tfopt.profiling.profile')\n"
        "def work(*args, **options):\n"
        "    try: print('working', flush=True); time.sleep(60)\n"
        "    except BaseException: raise ValueError('a library says: callback failed') from None\n"
        "fake.profile = work\n"
        "sys.modules['tfopt.profiling.profile'] = fake\n"
        "from tfopt.__main__ import main\n"
        "sys.exit(main(['profile', 'x', '--no-save']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (143, "terminated\n")
