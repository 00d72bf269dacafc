"""Refuse a batch that no step can hold or compute, instead of letting a kernel end the process."""

from __future__ import annotations

import math
import os
from typing import Any

from tfopt.errors import InputError, UsageError
from tfopt.model.layers import layer_tree
from tfopt.model.sizes import item_bytes
from tfopt.report.units import size

__all__ = ["refuse_hopeless"]


def refuse_hopeless(model: Any, batch_size: int) -> None:
    """Refuse where one layer's output alone, for the whole batch, is larger than this machine's memory, or holds no
    values: oneDNN aborts on these.

    Only graphs tell their shapes; a free dimension counts as 1. Fitting here is no promise: a step holds more.

    Raises:
        UsageError: a smaller batch may fit.
        InputError: not even one example fits, or the model itself fixes its batch.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for layer in (place.layer for place in layer_tree(model)):
        for node in getattr(layer, "_inbound_nodes", ()):
            for tensor in node.output_tensors:
                values = math.prod(1 if length is None else length for length in tensor.shape[1:])
                if values == 0:
                    raise InputError(
                        f"the output of {layer.name} has the shape {tuple(tensor.shape)}: it holds no values",
                        "TensorFlow's kernels may end the process on it; build the model without that layer",
                    )
                example = values * item_bytes(tensor.dtype)
                if batch_size * example > memory:
                    raise _refusal(str(layer.name), batch_size, example, memory, fixed=tensor.shape[0] is not None)


def _refusal(layer: str, batch_size: int, example: int, memory: int, fixed: bool) -> InputError | UsageError:
    alone = example > memory and not fixed
    many, needed = ("even one example", example) if alone else (f"a batch of {batch_size}", batch_size * example)
    message = f"{many} cannot run: the output of {layer} alone takes {size(needed)}, this machine has {size(memory)}"
    if fixed or alone:
        return InputError(message, "save the model for smaller inputs; if its file is damaged, copy it again")
    return UsageError(message, "choose a smaller --batch-size")
