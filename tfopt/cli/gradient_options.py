"""Options that `tfopt gradients` and `tfopt gradcheck` share."""

from __future__ import annotations

import click

from tfopt.cli.profile_options import MODEL
from tfopt.cli.settings import Option, in_section

__all__ = ["MODIFICATION", "SUBJECT"]

SUBJECT = in_section(
    "Model and data",
    Option(
        ["--batch-size"],
        type=click.IntRange(min=1),
        metavar="N",
        help="Examples. Default: 32, for gradcheck 4, or what the data has.",
    ),
    *(option for option in MODEL if option.name not in ("batch_size", "optimizer")),
)
MODIFICATION = in_section(
    "Modified weights",
    Option(
        ["--modify"],
        multiple=True,
        metavar="WHAT",
        help="Run the weights through scale=0.5, threshold=0.1, ste-threshold=0.1, fake-quant=8, low-rank=4, relu, "
        "tanh, …, or package.module:function. May be repeated: in this order.",
    ),
    Option(
        ["--include"],
        multiple=True,
        metavar="PATTERN",
        help="Modify the weights with such a path, as in 'dense_*/kernel'. May be repeated. Default: every kernel but "
        "those of embeddings, whose gradients would become dense and slow.",
    ),
)
