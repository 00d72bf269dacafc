"""Models that cannot be computed in float64: layers that make float32 of it, operations that TensorFlow lacks."""

from __future__ import annotations

import re

__all__ = ["Lowered", "why_float32"]

_NO_KERNEL = re.compile(r"No OpKernel was registered to support Op '(\w+)'")


class Lowered(BaseException):
    """A layer, by its path, computes in float32 whatever the dtype of its policy is. (No `Exception`: Keras would put
    the arguments of the call into its message.)"""


def why_float32(error: BaseException, dtype: str) -> str:
    """Why a pass that failed in a dtype is to be tried in float32; empty where that would not help."""
    if dtype == "float32":
        return ""
    if isinstance(error, Lowered):
        return f"{error} computes in float32"
    missing = _NO_KERNEL.search(str(error))
    return f"TensorFlow has no {missing[1]} in {dtype} here" if missing else ""
