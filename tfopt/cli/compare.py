"""`tfopt compare MODEL [MODEL …]`: which way of running is fastest here, and what it does to the numbers."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from tfopt.cli.compare_options import COMPARED, MEASURING, SHARED
from tfopt.cli.options import LISTED, MANNERS
from tfopt.cli.settings import Argument, Command

if TYPE_CHECKING:
    from tfopt.records.comparison import ComparisonRecord

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt compare model.keras
  tfopt compare app:MobileNetV2 --variants eager,graph,xla,mixed_bfloat16
  tfopt compare model.keras --variants graph,xla --batch-sizes 16,32,64
  tfopt compare before.keras after.keras --tolerance 3% -o comparison.json
"""

_FAILED = {"CRASHED": 4, "HUNG": 4, "REFUSED": 3}


@click.command(
    "compare",
    cls=Command,
    epilog=_EPILOG,
    params=[
        Argument(["model"], nargs=-1, required=True, metavar="MODEL..."),
        *COMPARED,
        *SHARED,
        *MEASURING,
        *LISTED,
        *MANNERS,
    ],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compare ways to run a model, or several models: which is fastest here, and what does it do to the numbers?

    Variants run side by side in fresh processes, in random order, until they can be told apart. Outputs, loss and
    gradients are compared with those of the float32 graph. MODEL is as for tfopt profile.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    verbose, strict = options.pop("verbose"), options.pop("strict")
    fields = {field: options.pop(field) for field in Delivery.__dataclass_fields__ if field in options}
    delivery = Delivery.checked(by="layer", depth=None, **fields)
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.profiling.compare import compare

        record = compare(**options, command=line, progress=progress)
    delivery.deliver(record, None)
    if record.run.interrupted:
        raise KeyboardInterrupt
    ctx.exit(exit_code(record, strict=strict))


def exit_code(record: ComparisonRecord, *, strict: bool) -> int:
    """4 where an arm or the baseline crashed or hung, or none was measured, 3 where one was refused, with `strict` 5
    where one is not decided, else 0."""
    verdicts = {arm.result.verdict for arm in record.arms if arm.result is not None}
    failed = 4 if record.run.failure else max(_FAILED.get(verdict, 0) for verdict in verdicts)
    if failed or verdicts == {"NOT RUN"}:
        return failed or 4
    return 5 if strict and verdicts & {"INCONCLUSIVE", "NOT RUN"} else 0
