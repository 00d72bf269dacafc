"""`tfopt report PATH`: show a recorded run again, or a trace that somebody else recorded."""

from __future__ import annotations

from typing import Any

import click

from tfopt.cli.options import MANNERS, TRACE_REPORT
from tfopt.cli.settings import Command, Option, in_section

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt report                                the latest run
  tfopt report runs/model-20261120-093107 --by op --top 50
  tfopt report runs/model-20261120-093107 --quiet -o report.md -o ops.csv
  tfopt report logs/plugins/profile/2026_11_20_09_31_07 --by kernel
  tfopt report runs/model-20261121-101500 --against runs/model-20261120-093107
  tfopt report --against runs                 the latest run and the one before it
"""


_PATH = click.Argument(["path"], default="runs", type=click.Path())
_AGAINST = in_section(
    "Report",
    Option(
        ["--against"],
        metavar="BASELINE",
        type=click.Path(),
        help="Show how PATH's run differs from BASELINE's (named like PATH; of a folder of runs the latest other "
        "one): change = run − baseline. It compares two recordings and is no benchmark.",
    ),
)


@click.command("report", cls=Command, epilog=_EPILOG, params=[_PATH, *_AGAINST, *TRACE_REPORT, *MANNERS])
def command(path: str, against: str | None, verbose: bool, **options: Any) -> None:
    """Show a recorded run or anybody's trace, in any format, without TensorFlow.

    PATH is a run folder, its record.json, or a folder of runs, of which the latest is shown (default: runs).

    PATH may also be a profiler trace of TensorFlow or JAX, of CPU, GPU or TPU: an .xplane.pb file, a log folder of
    TensorBoard, of which the latest session is shown, or the folder of one session. Nothing is written there.
    """
    from tfopt.cli.output import Delivery
    from tfopt.report.against import open_difference
    from tfopt.report.opening import open_target

    delivery = Delivery.checked(**options)
    opened = open_target(path) if against is None else open_difference(path, against)
    if verbose:
        click.echo(f"showing {opened.origin}", err=True)
    delivery.deliver(opened.record, opened.folder)
