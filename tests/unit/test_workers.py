"""Worker processes, from both sides, without TensorFlow."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfopt.errors import InputError, RunFailed, UsageError
from tfopt.undo import undo_all
from tfopt.workload.options import Options
from tfopt.workload.peak import fresh
from tfopt.workload.workers import process
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing, Refused
from tfopt.workload.workers.process import Ended, worker

TASK = Contestant("x", "m.keras", Options())
# Serves the task with what `work` is.
SERVING = """
import os, sys
from tfopt.workload.workers import process
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workers.messages import Doing
from tfopt.workload.workers.served import served
def work(task, say):
    {}
served(Contestant, work)
"""


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def ending(script: str) -> Ended:
    """How a worker ends that says nothing understandable before."""
    with worker(TASK, python(script), Doing) as child:
        with pytest.raises(Ended) as raised:
            child.receive(time.monotonic() + 30)
        assert child._process.poll() is not None
    return raised.value


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ("{}['x']", "ended with exit code 1: KeyError: 'x'"),
        ("sys.stderr.write('W 0000 noise'); raise ValueError('two\\nlines')", "code 1: ValueError: two lines"),
        ("sys.exit('not here')", "ended with exit code 1: SystemExit: not here"),
        ("os.abort()", "ended by signal 6 (Aborted)"),
        ("os._exit(3)", "ended with exit code 3"),
    ],
)
def test_what_a_worker_ends_by_is_its_last_word(work: str, words: str) -> None:
    assert str(ending(SERVING.format(work))).endswith(words)


def test_what_is_printed_is_no_message() -> None:
    with worker(TASK, python(SERVING.format("print('noise', flush=True); say(Doing('a', 'b'))")), Doing) as child:
        assert child.receive(time.monotonic() + 30) == Doing("a", "b")


def test_a_name_that_is_not_utf_8_is_refused() -> None:
    odd = Contestant("x", "m\udcff.keras", Options())
    with pytest.raises(UsageError, match=r"m\\udcff\.keras is not UTF-8"), worker(odd, python(""), Doing):
        pass


def test_a_signal_without_a_name_has_a_number() -> None:
    assert str(ending("import os; os.kill(os.getpid(), 40)")).startswith("the process was ended by signal 40 (")
    assert "signal 9 (Killed; memory may have run out)" in str(ending("import os; os.kill(os.getpid(), 9)"))


def test_a_line_that_is_no_message_ends_the_worker() -> None:
    ended = ending("import time; print('{noise', flush=True); time.sleep(100)")
    assert str(ended) == "the process said what is no message: {noise"
    assert ended.signal is None


def test_a_worker_that_hangs_up_and_goes_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_FAREWELL_S", 0.5)
    assert "without an end" in str(ending("import os, time; os.close(1); time.sleep(100)"))


def test_the_end_of_a_worker_is_told_after_all_that_it_said() -> None:
    said = 'print("""{"type":"Doing","label":"","phase":"a"}\\n{"type":"Doing","label":"","phase":"b"}"""); exit(3)'
    with worker(TASK, python(said), Doing) as child:
        until = time.monotonic() + 30
        assert [child.receive(until).phase for _ in "ab"] == ["a", "b"]
        with pytest.raises(Ended, match="exit code 3"):
            child.receive(until)


@pytest.mark.parametrize("leave", [lambda child: None, lambda child: undo_all()])
def test_no_worker_and_nothing_that_it_started_outlives_its_block(leave: Callable[[Any], None]) -> None:
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '100']).pid, flush=True); time.sleep(100)"
    with worker(TASK, python(script), Doing) as child:
        grandchild = int(os.read(child._process.stdout.fileno(), 100))  # type: ignore[union-attr]
        leave(child)
    for pid in (child._process.pid, grandchild):
        assert _gone(pid)


def _gone(pid: int) -> bool:
    """Whether a process ends within seconds: an orphan that was killed is somebody else's to bury."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_refusal_becomes_the_error_that_it_was() -> None:
    assert isinstance(Refused.of("x", InputError("no good", "mend it")).error(), InputError)
    assert str(Refused("x", "StepUnsound", "no good", "mend it").error()) == str(RunFailed("no good", "mend it"))


SAYS = 'import os, time; print(\'{"type":"Doing","label":"x","phase":"step 2"}\', flush=True); '


@pytest.mark.parametrize(
    ("then", "error", "words"),
    [
        ("time.sleep(100)", RunFailed, "step 2: no answer for 2 s"),
        (f"os.kill(os.getpid(), {signal.SIGSEGV.value})", RunFailed, "step 2: .* signal 11"),
        (f"os.kill(os.getpid(), {signal.SIGKILL.value})", fresh.Killed, "memory ran out"),
        ("raise OSError('odd')", RunFailed, "step 2: .* exit code 1: OSError: odd"),
    ],
)
def test_measuring_memory_ends_whatever_becomes_of_its_process(
    then: str, error: type[RunFailed], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "_COMMAND", python(SAYS + then))
    monkeypatch.setattr(fresh, "_PATIENCE_S", 2.0)
    with pytest.raises(error, match=words) as raised:
        fresh.measured(TASK)
    assert type(raised.value) is error
