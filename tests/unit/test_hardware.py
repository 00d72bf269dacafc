"""Half precision in hardware is read from what Linux says of the CPU."""

from __future__ import annotations

import pytest

from tfopt.workload.hardware import half_precision, of_cpu


@pytest.mark.parametrize(
    ("features", "dtypes"),
    [
        ("fpu sse avx2 avx512f f16c", ()),
        ("avx512f avx512_bf16", ("bfloat16",)),
        ("amx_bf16 amx_tile", ("bfloat16",)),
        ("avx512_fp16 avx512_bf16", ("float16", "bfloat16")),
        ("fp asimd asimdhp", ("float16",)),
        ("fp asimd asimdhp bf16", ("float16", "bfloat16")),
    ],
)
def test_features_that_multiply_half_precision(features: str, dtypes: tuple[str, ...]) -> None:
    """f16c only converts."""
    assert of_cpu(frozenset(features.split())) == dtypes


def test_a_tpu_multiplies_bfloat16() -> None:
    assert half_precision("TPU") == ("bfloat16",)
