"""`tfopt doctor [RUNS]`: what is wrong here, and the command that mends it."""

from __future__ import annotations

import sys
from typing import Any

import click

from tfopt.cli.options import MANNERS, OUTPUT
from tfopt.cli.settings import Command

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt doctor                       this environment
  tfopt doctor runs                  would TensorBoard show these?
  tfopt doctor logs/plugins/profile
  tfopt doctor --quiet -o doctor.json

\b
Exit code 1 if there is a problem; notes alone are no problem.
"""

_RUNS = click.Argument(["runs"], required=False, type=click.Path())


@click.command("doctor", cls=Command, epilog=_EPILOG, params=[_RUNS, *OUTPUT, *MANNERS])
@click.pass_context
def command(ctx: click.Context, /, runs: str | None, verbose: bool, **options: Any) -> None:
    """Find what is wrong with this environment, or why TensorBoard shows nothing of RUNS.

    Without RUNS: packages, settings, the machine, and a trial run of TensorFlow, XLA, the profiler and TensorBoard in
    processes of their own; under half a minute.

    RUNS is a run folder, a log folder, or a trace: where would TensorBoard look, and what would it show?
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    delivery = Delivery.checked(by="layer", depth=None, top=None, **options)
    delivery.check_kind()
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.diagnosis.diagnose import doctor

        record = doctor(runs, progress=progress)
    delivery.deliver(record, None)
    if record.of("problem"):
        ctx.exit(1)
