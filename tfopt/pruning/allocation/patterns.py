"""N:M: at most N of M consecutive input channels are kept, for each tap and output.

NVIDIA's 2:4 (arXiv:2104.08378) is two non-zeros in four; some libraries count the zeros instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tfopt.errors import UsageError
from tfopt.pruning.allocation.lowest import from_table, lowest, order, table
from tfopt.pruning.prunable import Masks, Prunable, Scores
from tfopt.wording import counted

__all__ = ["n_of_m", "parse_n_of_m"]


def parse_n_of_m(text: str) -> tuple[int, int]:
    """`"2:4"` as (2, 4). Raises UsageError for anything but N:M with 1 <= N < M."""
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
    n, m = map(int, found.groups()) if found else (0, 0)
    if not 1 <= n < m:
        raise UsageError(
            f"{text!r} is no pattern N:M", "give non-zeros and group size, as in 2:4: at most 2 of 4 are kept"
        )
    return n, m


def n_of_m(scores: Scores, weights: Sequence[Prunable], n: int, m: int) -> tuple[Masks, dict[int, str]]:
    """Masks that keep the `n` highest scores of each `m` consecutive input channels; several input axes (heads of
    attention) are flattened. What `m` does not divide stays dense: the reason by the number of the weight.

    Raises RunFailed where a score is NaN.
    """
    masks: Masks = []
    dense: dict[int, str] = {}
    for number, (score, weight) in enumerate(zip(order(scores, weights), weights, strict=True)):
        columns = table(score, weight.input_axes)
        inputs = len(columns)
        if not weight.input_axes or inputs % m:
            dense[number] = (
                f"{m} does not divide its {counted(inputs, 'input')}" if weight.input_axes else "it sums no inputs"
            )
            masks.append(np.ones(score.shape, bool))
            continue
        groups = columns.reshape(inputs // m, m, -1).swapaxes(0, 1)  # (m, groups, columns)
        kept = ~lowest(groups.reshape(m, -1), m - n).reshape(groups.shape)
        masks.append(from_table(kept.swapaxes(0, 1).reshape(columns.shape), score.shape, weight.input_axes))
    return masks, dense
