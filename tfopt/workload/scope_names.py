"""Name scopes that TensorFlow takes and attribution can tell apart, whatever a stranger called a layer.

Keras lets a layer, loss or optimizer be called anything without a `/`, and opens a name scope of that name.
TensorFlow refuses most characters there; and a scope called like the tape's own would make a layer's forward ops look
like gradients. Such scopes get a cleaned name meanwhile; two of one name are numbered by TensorFlow. Records keep the
true names.

Private names of Keras used here: `name_scope._tf_name_scope`. A test checks that it exists.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from keras.src.backend import name_scope

from tfopt.trace.scopes import GRADIENT_PARTS

__all__ = ["cleaned", "usable_scopes"]

_LONGEST = 120
# Less than what TensorFlow's Python accepts: its runtime refuses backslashes under XLA.
_USABLE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./-]*")
_OURS = "tfopt_"


def cleaned(name: str) -> str:
    """`name` as it is where it can be the name of a scope, else its letters and digits with `_` between them."""
    taken = name in GRADIENT_PARTS or name.startswith(_OURS)
    if not taken and len(name) <= _LONGEST and _USABLE.fullmatch(name):
        return name
    stem = re.sub(r"[^A-Za-z0-9_.]", "_", name).lstrip("_")[:_LONGEST]
    return f"layer_{stem}" if taken else stem or "layer"


@contextlib.contextmanager
def usable_scopes() -> Iterator[None]:
    """Let Keras open scopes of cleaned names, while the block runs."""
    opening = name_scope.__init__

    @functools.wraps(opening)
    def renamed(self: Any, name: str, *args: Any, **kwargs: Any) -> None:
        opening(self, name, *args, **kwargs)
        if cleaned(name) != name:
            self._tf_name_scope = tf.name_scope(cleaned(name))

    name_scope.__init__ = renamed
    try:
        yield
    finally:
        name_scope.__init__ = opening
