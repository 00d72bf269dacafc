"""What Linux says of the CPU, and half precision in hardware, which is read from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfopt.workload import hardware
from tfopt.workload.cpu import cpu_features, cpu_name, multiplying
from tfopt.workload.hardware import half_precision


@pytest.mark.parametrize(
    ("features", "dtypes"),
    [
        ("fpu sse avx2 avx512f f16c", {}),
        ("avx512f avx512_bf16", {"bfloat16": ("avx512_bf16",)}),
        ("amx_bf16 amx_tile", {"bfloat16": ("amx_bf16",)}),
        ("avx512_fp16 avx512_bf16", {"float16": ("avx512_fp16",), "bfloat16": ("avx512_bf16",)}),
        ("fp asimd asimdhp", {"float16": ("asimdhp",)}),
        ("fp asimd asimdhp bf16", {"float16": ("asimdhp",), "bfloat16": ("bf16",)}),
    ],
)
def test_features_that_multiply_half_precision(features: str, dtypes: dict[str, tuple[str, ...]]) -> None:
    """f16c only converts."""
    assert multiplying(frozenset(features.split())) == dtypes


def test_the_cpu_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(
        "processor\t: 0\nmodel name\t: A: B\nflags\t\t: fpu avx2\nvmx flags\t: ept\n\nflags\t\t: fpu avx2\n"
    )
    assert cpu_features(file) == {"fpu", "avx2"}
    assert cpu_name(file) == "A: B"
    file.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert cpu_features(file) == {"fp", "asimd"}


def test_what_is_not_told_is_unknown_and_not_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert cpu_features(tmp_path / "cpuinfo") is None
    assert cpu_features(tmp_path / "absent") is None
    assert cpu_name(tmp_path / "absent")
    monkeypatch.setattr(hardware, "cpu_features", lambda: None)
    assert half_precision("CPU") is None


def test_a_tpu_multiplies_bfloat16() -> None:
    assert half_precision("TPU") == ("bfloat16",)
