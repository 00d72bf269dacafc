"""`tfopt profile MODEL`: measure one model and show where its step's time goes."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from tfopt.cli.options import MANNERS, REPORT
from tfopt.cli.profile_options import MODEL, RUN
from tfopt.cli.settings import Argument, Command
from tfopt.errors import UsageError

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt profile model.keras
  tfopt profile app:MobileNetV2 --input-size 96 --batch-size 16
  tfopt profile model.keras --mode infer --xla --by op -o report.md
"""


@click.command("profile", cls=Command, epilog=_EPILOG, params=[Argument(["model"]), *MODEL, *RUN, *REPORT, *MANNERS])
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Measure where a step's time goes: layers, ops, phases.

    MODEL is a .keras or .h5 file, a SavedModel folder (inference only), or app:NAME for a network of
    keras.applications with random weights.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    verbose, no_save = options.pop("verbose"), options.pop("no_save")
    delivery = Delivery.checked(**{field: options.pop(field) for field in Delivery.__dataclass_fields__})
    if no_save:
        if delivery.needs_trace:
            raise UsageError("--no-save keeps no trace, which is what a Chrome trace shows", "leave --no-save out")
        options["run_dir"] = None
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.profiling.profile import profile

        record = profile(**options, command=line, progress=progress)
    delivery.deliver(record, record.trace.run_dir)
