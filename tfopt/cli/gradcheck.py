"""`tfopt gradcheck MODEL`: is the gradient the derivative of the loss?"""

from __future__ import annotations

from typing import Any

import click

from tfopt.cli.gradient_options import MODIFICATION, delivered, subject
from tfopt.cli.options import LISTED, MANNERS
from tfopt.cli.profile_options import SEED, THREADS, XLA
from tfopt.cli.settings import Argument, Command, Option, in_section

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt gradcheck model.keras
  tfopt gradcheck model.keras --import my_package.layers --data samples.npz
  tfopt gradcheck model.keras --modify scale=0.5 --modify tanh

\b
Exit code 1 if a gradient is wrong.
"""
_CHECK = in_section(
    "Check",
    Option(
        ["--tolerance"],
        type=click.FloatRange(min=0, min_open=True),
        default=1e-6,
        show_default=True,
        metavar="X",
        help="Largest relative error along a direction that agrees.",
    ),
    Option(
        ["--directions"],
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        metavar="N",
        help="Random directions in which each tensor is moved.",
    ),
)
_RUN = in_section("Run", XLA, SEED, THREADS)


@click.command(
    "gradcheck",
    cls=Command,
    epilog=_EPILOG,
    params=[Argument(["model"]), *subject(4), *MODIFICATION, *_CHECK, *_RUN, *LISTED, *MANNERS],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Check that gradients are derivatives: of every trainable tensor, against central differences of the loss, in
    float64 and with the same random numbers each time.

    MODEL is a .keras or .h5 file, or app:NAME for a network of keras.applications with random weights.
    """
    if delivered(ctx, "gradcheck", options).failed:
        ctx.exit(1)
