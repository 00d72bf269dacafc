"""`tfopt report RUN`: show a recorded run again."""

from __future__ import annotations

from typing import Any

import click

from tfopt.cli.options import MANNERS, REPORT
from tfopt.cli.settings import Command

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt report                                the latest run
  tfopt report runs/model-20261120-093107 --by op --top 50
  tfopt report runs/model-20261120-093107 --quiet -o report.md -o ops.csv
"""


_RUN = click.Argument(["run"], default="runs", type=click.Path())


@click.command("report", cls=Command, epilog=_EPILOG, params=[_RUN, *REPORT, *MANNERS])
def command(run: str, verbose: bool, **options: Any) -> None:
    """Show a recorded run again, in any format, without TensorFlow.

    RUN is a run folder, its record.json, or a folder of runs, of which the latest is shown (default: runs).
    """
    from tfopt.cli.output import Delivery
    from tfopt.report.runs import read_run

    delivery = Delivery.checked(**options)
    found = read_run(run)
    if verbose:
        click.echo(f"showing {found.file}", err=True)
    delivery.deliver(found.record, found.folder)
