"""`tfopt inspect MODEL`: what each layer costs, without running a step."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from tfopt.cli.options import INSPECTION_REPORT, MANNERS
from tfopt.cli.profile_options import MODEL, PRECISION, SEED, THREADS, XLA
from tfopt.cli.settings import Argument, Command, Option, in_section
from tfopt.workload.options import MODES

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt inspect model.keras
  tfopt inspect app:MobileNetV2 --mode infer --batch-size 1
  tfopt inspect model.keras --by type -o costs.csv
"""

_MODE = Option(
    ["--mode"],
    type=click.Choice(MODES),
    default=None,
    help="What a step is: forward, loss, backward and update, or forward alone. Default: train, where there is "
    "something to train.",
)
_LIMIT = Option(
    ["--memory-limit"],
    metavar="SIZE",
    help="Find the largest batch of which a step takes at most SIZE (8GiB, 800MB), and run it to verify that.",
)
_RUN = in_section("Run", _MODE, PRECISION, XLA, SEED, THREADS, _LIMIT)


@click.command(
    "inspect", cls=Command, epilog=_EPILOG, params=[Argument(["model"]), *MODEL, *_RUN, *INSPECTION_REPORT, *MANNERS]
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show what each layer costs (parameters, FLOPs, bytes, outputs) and the memory of a step.

    No step is run, unless a memory limit is to be tested.

    MODEL is a .keras or .h5 file, a SavedModel folder (inference only), or app:NAME for a network of
    keras.applications with random weights.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    verbose = options.pop("verbose")
    delivery = Delivery.checked(**{field: options.pop(field) for field in Delivery.__dataclass_fields__})
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.profiling.inspect import inspect

        record = inspect(**options, command=line, progress=progress)
    delivery.deliver(record, None)
