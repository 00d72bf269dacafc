"""What the doctor says of packages and settings, from facts made by hand: each check fires, and keeps quiet."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tfopt.diagnosis import packages as checks
from tfopt.diagnosis.installed import Distribution, Packages, packages, pinned
from tfopt.diagnosis.requirements import unmet
from tfopt.diagnosis.variables import RULES, keras_settings, legacy_keras, variables
from tfopt.records.diagnosis import Finding
from tfopt.workload.keras_file import keras_file

SITE = "/env/site-packages"


def one(version: str, *requires: str, location: str = SITE, editable: bool = False) -> tuple[Distribution, ...]:
    return (Distribution(version, location, requires, editable),)


SOUND = Packages(
    copies={
        "tfopt": one("0.1.0", "tensorflow>=2.21,<2.22", "protobuf>=6.31,<8", 'pytest>=8; extra == "dev"'),
        "tensorflow": one("2.21.0", "h5py<3.15.0,>=3.11.0", "protobuf<8.0.0,>=6.31.1", "absl-py>=1.0"),
        "tensorboard": one("2.21.0", "tensorboard-data-server<0.8.0,>=0.7.0"),
        "tensorboard-plugin-profile": one("2.24.2", "xprof==2.24.2"),
        "xprof": one("2.24.2", "fsspec[gcs]>=2024.10.0"),
        "fsspec": one("2026.9.0", 'gcsfs>2024.2.0; extra == "gcs"'),
        "gcsfs": one("2026.10.1"),
        "h5py": one("3.14.0"),
        "protobuf": one("7.36.2"),
        "absl-py": one("2.5.1"),
        "setuptools": one("84.2.1"),
        "tensorboard-data-server": one("0.7.2"),
    },
    origins={"tensorflow": f"{SITE}/tensorflow/__init__.py", "h5py": f"{SITE}/h5py/__init__.py"},
    gencode="6.31.1",
    pkg_resources=False,
)


def with_copies(**changed: tuple[Distribution, ...]) -> Packages:
    copies = {**SOUND.copies, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return replace(SOUND, copies={name: value for name, value in copies.items() if value})


def said(found: Packages) -> list[tuple[str, str]]:
    """Everything that is not fine."""
    every = [finding for check in checks.CHECKS for finding in check(found)]
    assert all(finding.mend for finding in every if finding.status == "problem")
    return [(finding.id, finding.status) for finding in every if finding.status != "ok"]


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_sound_packages_are_fine() -> None:
    assert said(SOUND) == []


@pytest.mark.parametrize(
    ("found", "id", "status"),
    [
        (with_copies(h5py=one("3.15.1")), "requirements", "problem"),
        (with_copies(tensorflow=()), "requirements", "problem"),
        (with_copies(tensorflow=one("2.20.0")), "requirements", "problem"),
        (with_copies(tensorflow_cpu=one("2.21.0")), "twins", "problem"),
        (with_copies(tensorboard=one("2.20.0")), "pkg_resources", "problem"),
        (with_copies(tb_nightly=one("2.22.0a1")), "twins", "problem"),
        (with_copies(tensorboard_plugin_profile=one("2.19.3")), "plugin", "problem"),
        (with_copies(h5py=(*one("3.14.0"), *one("3.13.0", location="/home/me"))), "copies", "problem"),
        (with_copies(tfopt=()), "requirements", "unknown"),
        (replace(SOUND, plugin_library=False), "plugin", "problem"),
        (replace(SOUND, gencode="8.0.1"), "gencode", "problem"),
        (replace(SOUND, gencode="5.28.3"), "gencode", "problem"),
        (replace(SOUND, gencode="7.40.0"), "gencode", "problem"),
        (replace(SOUND, origins={"tensorflow": "/home/me/tensorflow.py"}), "shadows", "problem"),
        (replace(SOUND, origins={"h5py": "/home/me/h5py/__init__.py"}), "shadows", "problem"),
    ],
)
def test_each_conflict_is_found_alone(found: Packages, id: str, status: str) -> None:
    assert said(found) == [(f"packages.{id}", status)]


@pytest.mark.parametrize(
    "found",
    [
        with_copies(tensorflow=(), tensorflow_cpu=SOUND.copies["tensorflow"]),
        with_copies(h5py=(*one("3.14.0"), *one("3.14.0", location="/home/me"))),
        replace(with_copies(h5py=one("3.14.0", editable=True)), origins={"h5py": "/src/h5py/__init__.py"}),
        replace(with_copies(tensorboard=one("2.20.0")), pkg_resources=True),
        replace(SOUND, gencode="7.36.2"),
        replace(SOUND, gencode=None, plugin_library=None),
    ],
)
def test_what_looks_odd_and_is_not_is_left_alone(found: Packages) -> None:
    assert said(found) == []


def test_an_unmet_requirement_is_told_with_both_versions_and_what_mends_it() -> None:
    finding = only(finding for finding in checks.requirements(with_copies(h5py=one("3.15.1"))))
    assert finding.found == "tensorflow 2.21.0 needs h5py<3.15.0,>=3.11.0, found 3.15.1"
    assert finding.mend == 'pip install "h5py<3.15.0,>=3.11.0"'


def test_extras_and_markers_count_only_where_they_are_asked_for() -> None:
    copies = {"a": one("1", "b[x]", 'c; python_version < "3"'), "b": one("1", 'd>2; extra == "x"', 'e; extra == "y"')}
    assert [(gap.by, gap.wanted, gap.version) for gap in unmet("a", copies)] == [("b 1", "d>2", None)]


def test_what_lies_deep_is_a_note() -> None:
    copies = {name: one("1", wanted) for name, wanted in zip("abc", "bcd", strict=True)}
    assert [gap.near for gap in unmet("a", copies)] == [False]
    assert [gap.near for gap in unmet("b", copies)] == [True]


def test_requirements_in_a_circle_end() -> None:
    assert list(unmet("a", {"a": one("1", "b"), "b": one("1", "a", "b")})) == []


def test_a_lacking_data_server_is_a_note() -> None:
    tensorboard = one("2.21.0", "tensorboard-data-server>=0.7.0")
    copies = {"tfopt": one("1", "tensorboard"), "tensorboard": tensorboard}
    finding = only(checks.requirements(Packages(copies)))
    assert (finding.status, "event files more slowly" in finding.found) == ("note", True)


def test_this_environment_is_read_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = packages()
    assert there.version("msgspec")
    assert there.origins["msgspec"].endswith("__init__.py")
    (tmp_path / "keras.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packages().origins["keras"] == str(tmp_path / "keras.py")


def rule_cases() -> Mapping[str, tuple[str, str]]:
    """For every rule a value that matters, and one that does not."""
    return {
        "TF_ENABLE_ONEDNN_OPTS": ("0", "1"),
        "TF_XLA_FLAGS": ("--tf_xla_auto_jit=2", "--tf_xla_auto_jit=0"),
        "XLA_FLAGS": ("--xla_dump_to=/tmp", ""),
        "TF_NUM_INTRAOP_THREADS": ("1", ""),
        "TF_NUM_INTEROP_THREADS": ("1", ""),
        "TF_DETERMINISTIC_OPS": ("true", "0"),
        "TF_CUDNN_DETERMINISTIC": ("1", "0"),
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": ("python", "upb"),
        "LD_PRELOAD": ("libtcmalloc.so", ""),
    }


@pytest.mark.parametrize("name", dict.fromkeys(rule.variable for rule in RULES))
def test_every_variable_fires_for_the_values_that_matter(name: str) -> None:
    matters, harmless = rule_cases()[name]
    finding = only(variables({name: matters}))
    assert (finding.status, finding.mend) == ("note", "" if name == "LD_PRELOAD" else f"unset {name}")
    assert f"{name}={matters}" in finding.found
    assert only(variables({name: harmless})).status == "ok"


@pytest.mark.parametrize(
    ("variable", "file", "status", "words"),
    [
        (None, {}, "ok", "TensorFlow"),
        ("tensorflow", {"backend": "jax"}, "ok", "TensorFlow"),
        ("jax", {}, "problem", "KERAS_BACKEND has Keras run on jax"),
        (None, {"backend": "torch"}, "problem", "keras.json has Keras run on torch"),
        (None, {"floatx": "float16", "image_data_format": "channels_last"}, "note", "floatx float16"),
    ],
)
def test_keras_s_backend(variable: str | None, file: dict[str, str], status: str, words: str) -> None:
    finding = only(keras_settings(variable, file))
    assert finding.status == status
    assert words in finding.found


def test_keras_s_file_is_read_where_keras_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_file() == {}
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    assert keras_file() == {"backend": "jax"}
    (tmp_path / "keras.json").write_text("[")
    assert keras_file() == {}


@pytest.mark.parametrize(
    ("value", "has", "status"),
    [("", False, []), ("0", True, []), ("1", True, ["note"]), ("1", False, ["problem"]), ("True", True, ["note"])],
)
def test_legacy_keras(value: str, has: bool, status: list[str]) -> None:
    assert [finding.status for finding in legacy_keras(value, has)] == status


def test_leavings_of_a_removed_package_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "~ensorflow-2.20.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert all(str(tmp_path) not in one.location for found in packages().copies.values() for one in found)


def test_a_number_of_threads_that_ends_tensorflow_is_a_problem() -> None:
    finding = only(variables({"TF_NUM_INTRAOP_THREADS": "-1"}))
    assert (finding.status, finding.mend) == ("problem", "unset TF_NUM_INTRAOP_THREADS")
    assert only(variables({"TF_NUM_INTRAOP_THREADS": "many"})).status == "note"


def test_versions_are_those_that_tfopt_declares() -> None:
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in ("tensorflow", "tensorboard", "tensorboard-plugin-profile"):
        (line,) = (Requirement(one) for one in declared if Requirement(one).name == name)
        (words,) = shlex.split(pinned(name, "[extra]"))
        assert Requirement(words).specifier == line.specifier
        assert Requirement(words).extras == {"extra"}


def test_without_metadata_there_are_no_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert pinned.__wrapped__("tensorflow", "[and-cuda]") == "'tensorflow[and-cuda]'"
