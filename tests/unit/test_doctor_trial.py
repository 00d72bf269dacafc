"""The trial run when TensorFlow is broken in every way that it can be, and what is made of its report."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from traces_for_tests import gpu, host, record_of

from tfopt.diagnosis import gpu as gpus
from tfopt.diagnosis import tensorboard, trial
from tfopt.diagnosis.diagnose import _served, _tried
from tfopt.diagnosis.gpu import Gpus
from tfopt.diagnosis.tensorboard import Served, serves
from tfopt.diagnosis.tensorflow import examine, readable
from tfopt.diagnosis.trial import Report, trying
from tfopt.records.diagnosis import Finding
from tfopt.report.serving import Server
from tfopt.workload.probe import Outcome

BROKEN = {
    "raise ImportError('libcudart.so.12: cannot open shared object file')": "ImportError: libcudart.so.12",
    "raise SystemExit('not here')": "SystemExit: not here",
    "import os, signal, sys; sys.stderr.write('compiled to use AVX512\\n'); sys.stderr.flush(); "
    "os.kill(os.getpid(), signal.SIGILL)": "ended by signal 4 (Illegal instruction): compiled to use AVX512",
    "import os; os.abort()": "ended by signal 6 (Aborted)",
    "import os; os._exit(7)": "exit code 7",
    "import time; time.sleep(1000)": "no answer for 2 s",
    "print('{noise'); raise TypeError('Descriptors cannot be created directly.')": "TypeError: Descriptors",
    "x = (": "SyntaxError",
}


def tried(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report of a trial with `code` as TensorFlow."""
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    with trying(folder) as running:
        return trial.report(running)


@pytest.mark.parametrize(("code", "error"), BROKEN.items(), ids=[words.split()[0] for words in BROKEN.values()])
def test_a_broken_tensorflow_is_a_finding(
    code: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "SECONDS", 2.0)
    report = tried(tmp_path, code, monkeypatch)
    assert set(report.stages) == {"import"}
    assert error in report.error("import")
    first, *others = examine(report)
    assert first.status == "problem"
    assert error in first.found
    assert [other.status for other in others] == ["unknown", "unknown"]
    assert all("not tried, because of import" in other.found for other in others)


def test_a_later_stage_that_fails_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "__version__ = '9'\ndef __getattr__(name): raise RuntimeError('no ' + name)"
    report = tried(tmp_path, code, monkeypatch)
    assert list(report.stages) == ["import", "devices", "trace", "xla"]
    assert "RuntimeError: no" in report.error("xla")
    findings = {finding.id: finding for finding in examine(report)}
    assert "TensorFlow 9 and Keras 9 imported" in findings["tensorflow.import"].found
    assert findings["tensorflow.xla"].status == findings["tensorflow.trace"].status == "problem"


def test_the_gpu_s_memory_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    code = "import os; raise ImportError(os.environ['TF_FORCE_GPU_ALLOW_GROWTH'] + os.environ['KERAS_BACKEND'])"
    assert tried(tmp_path, code, monkeypatch).error("import") == "ImportError: truetensorflow"


def test_the_worker_does_not_outlive_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keras.py").write_text("import time; time.sleep(1000)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(KeyboardInterrupt), trying(tmp_path) as running:
        raise KeyboardInterrupt
    started = time.monotonic()
    with pytest.raises(ProcessLookupError):
        os.kill(running._process.pid, 0)
    assert time.monotonic() - started < 5


FINE = Report(
    {
        "import": Outcome("import", {"seconds": 3.0, "tensorflow": "2.21.0", "keras": "3.15.1"}),
        "devices": Outcome("devices", {"seconds": 0.1, "gpus": [], "cuda": "12.5.1", "rocm": False}),
        "xla": Outcome("xla", {"seconds": 0.5, "result": 2.0}),
    }
)


def statuses(report: Report) -> dict[str, str]:
    return {finding.id.partition(".")[2]: finding.status for finding in examine(report)}


def with_stage(name: str, **found: object) -> Report:
    return Report({**FINE.stages, name: Outcome(name, {**FINE.stages[name].found, **found})})


def test_numbers_are_judged() -> None:
    assert statuses(FINE) == {"import": "ok", "xla": "ok", "trace": "unknown"}
    assert statuses(with_stage("import", seconds=21.0))["import"] == "note"
    assert statuses(with_stage("xla", result=2.5))["xla"] == "problem"


def test_a_trace_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "host.xplane.pb"
    file.write_bytes(b"\x0a\xff")
    report = Report({**FINE.stages, "trace": Outcome("trace", {"file": str(file), "every_op": True, "bytes": 2})})
    assert statuses(report)["trace"] == "problem"


def test_the_trace_must_hold_the_step_and_the_op() -> None:
    marked, bare, other = record_of(lambda: host(steps=True)), record_of(host), record_of(gpu)
    assert [one.status for one in readable(marked, every_op=True, bytes=9)] == ["ok"]
    assert [one.found for one in readable(bare, every_op=True, bytes=9)] == ["the trace of one step has no step marker"]
    assert "no MatMul" in next(readable(other, every_op=True, bytes=9)).found
    assert [one.status for one in readable(marked, every_op=False, bytes=9)] == ["ok", "note"]


H200 = Gpus(driver="550.54", shown=("NVIDIA H200",), seen=("NVIDIA H200",), cuda="12.5.1")


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (Gpus(cuda="12.5.1"), "ok", "no GPU here"),
        (H200, "ok", "sees 1 GPU: NVIDIA H200"),
        (replace(H200, seen=None, why="x"), "unknown", "could not list"),
        (replace(H200, seen=(), cuda=None), "problem", "built without CUDA"),
        (replace(H200, seen=(), driver="470.1"), "problem", "driver 470.1 is too old for CUDA 12.5.1"),
        (replace(H200, seen=()), "problem", "libraries of CUDA 12.5.1 are missing"),
        (replace(H200, seen=(), visible="-1"), "note", "CUDA_VISIBLE_DEVICES=-1 hides 1 GPU"),
        (replace(H200, seen=(), visible=""), "note", "hides"),
        (replace(H200, seen=(), visible="0"), "problem", "libraries"),
        (Gpus(driver="550.54", cuda="12.5.1"), "note", "shows no GPU to this process"),
        (Gpus(amd=True, cuda="12.5.1"), "note", "without ROCm"),
        (Gpus(amd=True, rocm=True), "ok", "no GPU"),
    ],
)
def test_gpus_of_the_driver_against_those_of_tensorflow(found: Gpus, status: str, words: str) -> None:
    (finding,) = gpus.seen(found)
    assert finding.status == status
    assert words in finding.found


def test_profiling_needs_privileges_where_the_driver_says_so() -> None:
    def status(found: Gpus) -> list[str]:
        return [finding.status for finding in gpus.profiling(found)]

    assert status(H200) == ["ok"]
    assert status(replace(H200, restricted=True)) == ["problem"]
    assert status(replace(H200, restricted=True, administrator=True)) == ["ok"]
    assert status(Gpus(restricted=True)) == []


def test_capabilities_are_read_from_the_process_s_status() -> None:
    assert gpus._administrator("Name:\tx\nCapEff:\t000001ffffffffff\n")
    assert gpus._administrator("CapEff:\t0000000000200000\n")
    assert not gpus._administrator("CapEff:\t00000000a80425fb\n")  # docker's default
    assert not gpus._administrator("")


def test_the_driver_is_read_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n"
    (tmp_path / "version").write_text(version)
    (tmp_path / "params").write_text("EnableMSI: 1\nRmProfilingAdminOnly: 1\n")
    monkeypatch.setattr(gpus, "_PROC", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = gpus.gpus(FINE)
    assert (found.driver, found.shown, found.restricted, found.seen) == ("550.54.15", ("NVIDIA H200",), True, ())


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (Served(True, True, ("s",), ("overview_page", "trace_viewer@")), "ok", "(2 pages)"),
        (Served(False, True), "ok", "no trace could be written"),
        (Served(True, True), "problem", "does not find the trace"),
        (Served(True, True, ("s",)), "problem", "offers no page"),
        (Served(True), "problem", "without the profiler's plugin"),
        (Served(True, error="TensorBoard stopped: x"), "problem", "stopped: x"),
        (Served(True, slow=True), "unknown", "did not answer"),
    ],
)
def test_what_tensorboard_answers(found: Served, status: str, words: str) -> None:
    finding: Finding
    (finding,) = serves(found)
    assert finding.status == status
    assert words in finding.found


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[Server]:
    """A server that sends this to whoever asks, and hangs up; with None, it neither answers nor hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening, subprocess.Popen(["sleep", "100"]) as process:
        kept = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    asker, _ = listening.accept()
                    if answer is None or not asker.recv(4096):
                        kept.append(asker)
                        continue
                    with asker:
                        asker.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield Server(process, "127.0.0.1", listening.getsockname()[1], None)
        process.kill()
        listening.shutdown(socket.SHUT_RDWR)
        for asker in kept:
            asker.close()


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (b"", "problem", "does not answer: Remote end closed connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "problem", "does not answer: IncompleteRead"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "problem", "answers: HTTP Error 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "unknown", "the checks ended: AttributeError"),
        (None, "unknown", "did not answer within 1 s"),
    ],
)
def test_a_tensorboard_that_answers_badly_is_told_as_it_is(
    answer: bytes | None, status: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "SECONDS", 1.0)
    with answering(answer) as server:
        traced = Report({**FINE.stages, "trace": Outcome("trace", {"bytes": 9})})
        (finding,) = _tried("tensorboard", _served(server, traced))
    assert finding.status == status
    assert words in finding.found


def test_a_family_that_fails_keeps_no_other_from_its_work() -> None:
    def family() -> Iterator[Finding]:
        yield from serves(Served(True))
        raise PermissionError("no")

    first, second = _tried("family", family())
    assert first.id == "tensorboard.profile"
    assert (second.id, second.status, second.found) == (
        "family.checks",
        "unknown",
        "the checks ended: PermissionError: no",
    )
