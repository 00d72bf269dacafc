"""`tfopt check [MODEL …]`: did anybody make it larger, slower or worse? For continuous integration."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from tfopt.cli.check_options import CHECKED, GATES, TABLES
from tfopt.cli.options import CHECK_REPORT, MANNERS
from tfopt.cli.settings import CONFIG, Argument, Command

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt check model.keras --baseline main/model.keras
  tfopt check model.keras --only budgets --update
  tfopt check --config configs/check-strict.toml -o check.json -o check.junit.xml
  tfopt check --config configs/check-strict.toml --format github
  tfopt check model.keras --self-test

\b
Limits stand in a file: [check.budgets], [check.accuracy], [check.timing], and
for each of several models in [[check.models]]; configs/ has examples.
"""


@click.command(
    "check",
    cls=Command,
    epilog=_EPILOG,
    params=[Argument(["model"], nargs=-1, metavar="[MODEL]..."), *GATES, *CHECKED, *TABLES, *CHECK_REPORT, *MANNERS],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Check models against budgets, and against a baseline: what they compute, and how long a step takes.

    Budgets are counts, which are the same wherever they are taken. Times are never compared with stored ones: baseline
    and model run side by side. MODEL is as for tfopt profile; without one, the models of the configuration are checked.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched
    from tfopt.report.step_summary import with_step_summary

    verbose = options.pop("verbose")
    fields = {field: options.pop(field) for field in Delivery.__dataclass_fields__ if field in options}
    delivery = Delivery.checked(by="layer", depth=None, top=None, **fields)
    delivery.check_kind("check")
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    given = {name: value for name, value in options.items() if value is not None}
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.checks.pipeline import check

        record = check(**given, config=ctx.meta.get(CONFIG), command=line, progress=progress)
    delivery.deliver(with_step_summary(record), None)
    if record.exit_code == 130:
        raise KeyboardInterrupt
    ctx.exit(record.exit_code)
