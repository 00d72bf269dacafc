"""The cache of measured machines: what is kept comes back, and nothing that is wrong with it is an error."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from records_for_tests import MACHINE

from tfopt.workload.machine_cache import Key, cache_folder, keep, kept

KEY = Key("Example", "CPU", 2, "2.21.0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFOPT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_kept_comes_back(folder: Path) -> None:
    assert kept(KEY) is None
    assert keep(MACHINE, KEY) == ()
    assert kept(KEY) == MACHINE
    assert [file.suffix for file in folder.iterdir()] == [".json"]
    again = msgspec.structs.replace(MACHINE, bandwidth_gb_per_s=11.0)
    assert keep(again, KEY) == ()
    assert kept(KEY) == again


@pytest.mark.parametrize("change", [{"cpu": "Other"}, {"device": "GPU"}, {"threads": 1}, {"tensorflow": "2.22.0"}])
def test_another_machine_is_measured_anew(change: dict[str, object]) -> None:
    keep(MACHINE, KEY)
    other = msgspec.structs.replace(MACHINE, **change)
    key = Key(other.cpu, other.device, other.threads, other.tensorflow)
    assert kept(key) is None
    key.file.write_bytes(KEY.file.read_bytes())  # as if both had one name
    assert kept(key) is None


@pytest.mark.parametrize(
    "setting", ["TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "XLA_FLAGS", "TF_XLA_FLAGS", "OMP_NUM_THREADS"]
)
def test_other_settings_are_another_machine(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(setting, raising=False)
    here = Key("Example", "CPU", 2, "2.21.0")
    keep(MACHINE, here)
    monkeypatch.setenv(setting, "1")
    assert kept(Key("Example", "CPU", 2, "2.21.0")) is None
    assert kept(here) == MACHINE


def test_another_host_with_the_same_home_is_measured_anew() -> None:
    keep(MACHINE, KEY)
    assert KEY.host == platform.node()
    assert kept(replace(KEY, host="elsewhere")) is None


def test_what_nothing_depends_on_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(MACHINE, Key("Example", "CPU", 2, "2.21.0"))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    assert kept(Key("Example", "CPU", 2, "2.21.0")) == MACHINE


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "foreign": lambda whole: b'{"schema": "other/1"}',
    "not text": lambda whole: b"\xff" * 100,
    "negative": lambda whole: whole.replace(b'"bandwidth_gb_per_s":10.0', b'"bandwidth_gb_per_s":-10.0'),
    "zero": lambda whole: whole.replace(b'"float32":100.0', b'"float32":0.0'),
    "endless": lambda whole: whole + b" " * 2**17,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_no_machine_and_is_replaced(damage: str) -> None:
    keep(MACHINE, KEY)
    damaged = DAMAGE[damage](KEY.file.read_bytes())
    KEY.file.write_bytes(damaged)
    assert kept(KEY) is None
    assert keep(MACHINE, KEY) == ()
    assert kept(KEY) == MACHINE


def test_a_folder_in_the_file_s_place_is_told(folder: Path) -> None:
    KEY.file.mkdir(parents=True)
    assert kept(KEY) is None
    (note,) = keep(MACHINE, KEY)
    assert note.message.endswith("it is a folder")


def test_a_file_in_the_folder_s_place_is_told(folder: Path) -> None:
    folder.write_text("in the way")
    assert kept(KEY) is None
    (note,) = keep(MACHINE, KEY)
    assert note.message.startswith("this machine's roofs are measured anew each time, since they cannot be kept")
    assert note.hint == "name a folder for them in TFOPT_CACHE_DIR"
    assert folder.read_text() == "in the way"


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"TFOPT_CACHE_DIR": "/ours", "XDG_CACHE_HOME": "/users", "HOME": "/home"}, "/ours"),
        ({"XDG_CACHE_HOME": "/users", "HOME": "/home"}, "/users/tfopt"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home"}, "/home/.cache/tfopt"),
        ({"TFOPT_CACHE_DIR": "", "HOME": "/home"}, "/home/.cache/tfopt"),
    ],
)
def test_the_folder_is_the_user_s_choice(
    variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TFOPT_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert os.fspath(cache_folder()) == wanted
