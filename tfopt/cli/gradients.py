"""`tfopt gradients MODEL`: how large each gradient is."""

from __future__ import annotations

from typing import Any

import click

from tfopt.cli.gradient_options import MODIFICATION, delivered, subject
from tfopt.cli.options import LISTED, MANNERS
from tfopt.cli.profile_options import PRECISION, SEED, THREADS, XLA
from tfopt.cli.settings import Argument, Command, in_section

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt gradients model.keras --data samples.npz
  tfopt gradients model.keras --modify threshold=0.1
  tfopt gradients model.keras --modify fake-quant=8 --include 'conv*/kernel' -o gradients.csv
"""
_RUN = in_section("Run", PRECISION, XLA, SEED, THREADS)


@click.command(
    "gradients",
    cls=Command,
    epilog=_EPILOG,
    params=[Argument(["model"]), *subject(32), *MODIFICATION, *_RUN, *LISTED, *MANNERS],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show how large the gradient of the loss is in each layer and variable: its norm, its largest element, how much of
    it is zero, and how it compares with the weights. One batch in training; nothing is updated.

    With --modify, also what changes when weights are modified.

    MODEL is a .keras or .h5 file, or app:NAME for a network of keras.applications with random weights.
    """
    delivered(ctx, "gradients", options)
