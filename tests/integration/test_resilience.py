"""What a user, a disk or a second process can do in the middle of a run: said in two lines, nothing half-written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bench import interrupt
from tests.integration.profiled import profiled
from tfopt.cli.main import main
from tfopt.errors import InputError, RunFailed
from tfopt.model.load import load
from tfopt.report.runs import read_run
from tfopt.workload.data import _read_npz

QUICK = ("--no-influence", "--steps", "2", "--trace-steps", "2", "--quiet")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small network in both file formats."""
    folder = tmp_path_factory.mktemp("saved")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="sequential")
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, and that HDF5 is a legacy
        model.save(folder / "m.keras")
        model.save(folder / "m.h5")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a folder for temporary files beside it that ends empty."""
    (tmp_path / "here").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "here"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with 4 kB left, of 64 MB: a trace also holds what its process compiled before."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    (disk / "filler").write_bytes(b"x" * 65532 * 1024)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody can write to, root neither where it may mount."""
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
    if not mounted and os.access(folder, os.W_OK):
        pytest.skip("root may write anywhere and cannot mount here")
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _refused(capfd: pytest.CaptureFixture[str], code: int, words: str, *args: str | Path) -> None:
    """Run tfopt in this process: it says `words` in two lines, and leaves nothing."""
    capfd.readouterr()
    assert main([str(arg) for arg in args]) == code
    error, help = capfd.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert words in error
    assert help.startswith("help:  ")


def _works(model: Path, *more: str) -> None:
    assert main(["profile", str(model), *QUICK, *more]) == 0


def _left(place: Path) -> list[str]:
    """What lies in the working directory and where temporary files go."""
    return [str(path.relative_to(place.parent)) for name in ("here", "tmp") for path in (place.parent / name).iterdir()]


@pytest.mark.parametrize(
    ("stage", "seconds", "which", "again"),
    [
        ("loading TensorFlow", 0.5, signal.SIGINT, None),
        ("tracing", 0.0, signal.SIGTERM, None),
        ("summing over paths", 0.0, signal.SIGINT, 0.1),
    ],
)
def test_an_interrupted_run_leaves_nothing(
    stage: str, seconds: float, which: signal.Signals, again: float | None, saved: Path, place: Path
) -> None:
    """A slice of `bench.interrupt`, which draws moments in every phase of every command."""
    for suffix in (".keras", ".h5"):
        shutil.copy(saved / f"m{suffix}", place / f"mlp{suffix}")
    phase = interrupt.Phase(interrupt.COMMANDS[0], stage, seconds)
    ending = interrupt.interrupted(phase, seconds, which, place, again)
    assert ending.problems == ()
    assert ending.code in (128 + which, -which)
    _works(place / "mlp.keras")


def test_a_full_disk_behind_the_runs(
    saved: Path, place: Path, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = saved / "m.keras"
    _refused(capfd, 4, "cannot write the trace: No space", "profile", model, *QUICK, "--run-dir", small_disk / "runs")
    assert (os.listdir(small_disk), _left(place)) == (["filler"], [])
    (small_disk / "filler").unlink()
    _works(model, "--run-dir", str(small_disk / "runs"))
    _works(model, "--no-save", "-o", str(small_disk / "a.json"))


def test_a_full_disk_behind_a_report(
    saved: Path, place: Path, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _works(saved / "m.keras")
    (small_disk / "old.json").write_text("old")
    for name, more in (("new.json", ()), ("old.json", ("--force",))):
        target = small_disk / name
        words = f"cannot write {target}: No space left on device"
        _refused(capfd, 4, words, "report", "-q", "--top", "0", "-o", target, *more)
    assert sorted(os.listdir(small_disk)) == ["filler", "old.json"]
    assert (small_disk / "old.json").read_text() == "old"


def test_a_full_disk_behind_temporary_files(
    saved: Path, place: Path, small_disk: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("tempfile.tempdir", str(small_disk))
        _refused(capfd, 4, "m.keras cannot be unpacked: No space", "profile", saved / "m.keras", *QUICK)
        assert (os.listdir(small_disk), _left(place)) == (["filler"], [])
        full.setattr("tempfile.tempdir", str(small_disk / "none"))
        _refused(capfd, 4, "no place for temporary files", "profile", saved / "m.keras", *QUICK)


def test_a_read_only_folder(saved: Path, place: Path, read_only: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = saved / "m.keras"
    words = f"cannot create a run folder in {read_only / 'runs'}"
    _refused(capfd, 2, words, "profile", model, *QUICK, "--run-dir", read_only / "runs")
    _refused(capfd, 2, f"cannot write {read_only / 'a.md'}", "profile", model, *QUICK, "-o", read_only / "a.md")
    os.chdir(read_only)
    _refused(capfd, 2, "cannot create a run folder in runs", "profile", model, *QUICK)
    _works(model, "--no-save")
    assert _left(place) == []


def test_a_working_directory_that_is_gone(saved: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place.rmdir()
    model = saved / "m.keras"
    _refused(capfd, 2, "cannot create a run folder in runs", "profile", model, *QUICK)
    _refused(capfd, 2, "the working directory does not exist any more", "profile", model, *QUICK, "--no-save")
    _refused(capfd, 3, "runs does not exist", "report")


def _at(stage: str, act: Callable[[], object]) -> Callable[[str, float | None], None]:
    """A progress callback that acts once, when `stage` begins."""
    waiting = [act]

    def callback(name: str, done: float | None) -> None:
        if name == stage and waiting:
            waiting.pop()()

    return callback


def test_runs_that_are_deleted_under_way(saved: Path, place: Path) -> None:
    def delete() -> None:
        subprocess.run(["rm", "-rf", "runs"], check=True)

    model = str(saved / "m.keras")
    made = profiled(model, steps=2, run_dir="runs", progress=_at("measuring", delete))
    assert read_run("runs").record == made
    with pytest.raises(RunFailed, match="the profiler's trace cannot be read"):
        profiled(model, steps=2, run_dir="runs", progress=_at("reading the trace", delete))
    assert _left(place) == []


def test_a_run_that_fails_takes_its_folders_with_it_and_no_others(saved: Path, place: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    (place / "mine").mkdir()
    for stage in ("loading TensorFlow", "loading m", "tracing", "reading the trace"):
        with pytest.raises(KeyboardInterrupt):
            profiled(str(saved / "m.keras"), steps=2, run_dir="mine/a/b", progress=_at(stage, fail))
        assert _left(place) == ["here/mine"]
        assert os.listdir("mine") == []


def test_a_report_sees_whole_runs_only(saved: Path, place: Path) -> None:
    _works(saved / "m.keras")
    first = read_run("runs").file
    seen: list[Any] = []
    profiled(
        str(saved / "m.keras"),
        steps=2,
        run_dir="runs",
        progress=_at("reading the trace", lambda: seen.append(read_run("runs"))),
    )
    assert seen[0].file == first
    assert read_run("runs").file != first


def test_a_killed_run_is_in_nobodys_way(saved: Path, place: Path) -> None:
    command = [sys.executable, "-m", "tfopt", "profile", str(saved / "m.keras"), "--steps", "100000"]
    root = str(Path(interrupt.ROOT))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root, "TMPDIR": str(place.parent / "tmp")})
    while not Path("runs").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not [name for name in os.listdir("runs") if not name.startswith(".")]
    with pytest.raises(InputError, match="no run in runs"):
        read_run("runs")
    _works(saved / "m.keras")
    assert read_run("runs").record.model.name == "sequential"


def test_two_at_once_in_one_folder(saved: Path, place: Path) -> None:
    command = [sys.executable, "-m", "tfopt", "profile", str(saved / "m.keras"), *QUICK]
    environment = {**os.environ, "PYTHONPATH": str(interrupt.ROOT)}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    runs = list(Path("runs").iterdir())
    assert len(runs) == 2
    assert all(interrupt.whole(run) for run in runs)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("change", ["touched", "cut", "replaced", "deleted"])
def test_a_model_that_changes_while_it_is_read(
    saved: Path, place: Path, name: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = place / name, place / "other"
    for copy in (model, other):
        copy.write_bytes((saved / name).read_bytes())
    changes: dict[str, Callable[[], object]] = {
        "touched": lambda: os.utime(model, ns=(0, 0)),
        "cut": lambda: os.truncate(model, 100),
        "replaced": lambda: other.replace(model),
        "deleted": model.unlink,
    }
    read = keras.models.load_model

    def meanwhile(*args: Any, **options: Any) -> Any:
        changes[change]()
        return read(*args, **options)

    monkeypatch.setattr(keras.models, "load_model", meanwhile)
    with pytest.raises(InputError, match=f"{name} changed while it was read"):
        load(model)


def test_a_model_that_is_saved_again_and_again(saved: Path, place: Path) -> None:
    """Each load gives the network or an InputError; nothing else, whenever the file is empty, cut or another one."""
    model, content, stop = place / "m.keras", (saved / "m.keras").read_bytes(), threading.Event()
    model.write_bytes(content)

    def rewrite() -> None:
        while not stop.is_set():
            model.write_bytes(content)  # in place: empty, then growing
            time.sleep(0.005)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(10):
            with contextlib.suppress(InputError):
                assert load(model).model.name == "sequential"
    finally:
        stop.set()
        writer.join()
    assert load(model).model.name == "sequential"


def test_data_that_changes_while_it_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("d.npz", x=np.ones((2, 4)))
    read = np.load

    def meanwhile(*args: Any, **options: Any) -> Any:
        os.utime("d.npz", ns=(0, 0))
        return read(*args, **options)

    monkeypatch.setattr(np, "load", meanwhile)
    with pytest.raises(InputError, match=r"d.npz changed while it was read"):
        _read_npz("d.npz", "numpy.savez")


def test_a_profile_only_reads_the_model(saved: Path, place: Path) -> None:
    before = {path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in saved.iterdir()}
    _works(saved / "m.keras")
    _works(saved / "m.h5", "--mode", "infer")
    assert before == {
        path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in saved.iterdir()
    }
