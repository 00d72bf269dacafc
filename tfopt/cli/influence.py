"""`tfopt influence MODEL`: which pathways carry the result."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from tfopt.cli.influence_options import LOOKED_AT, REPORT, RESULTS
from tfopt.cli.options import MANNERS
from tfopt.cli.settings import Argument, Command

if TYPE_CHECKING:
    from tfopt.records.influence import InfluenceRecord

__all__ = ["command", "exit_code"]

_EPILOG = """\b
Examples:
  tfopt influence app:MobileNetV2 --input-size 96
  tfopt influence model.keras --data samples.npz
  tfopt influence model.keras --data samples.npz --target margin --ablate 10
  tfopt influence model.keras --groups "stem=conv_1*" --groups head=predictions
"""


@click.command(
    "influence",
    cls=Command,
    epilog=_EPILOG,
    params=[Argument(["model"]), *LOOKED_AT, *RESULTS, *REPORT, *MANNERS],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show which branches, units and weights carry a model's result, and whether that is certain.

    A path's weight is the product of the absolute weights along it, from an input to an output. All of them are summed
    exactly, without data. With --data also: what inputs and biases contribute to the result, and the health of signals
    and gradients.

    MODEL is a .keras or .h5 file, or app:NAME for a network of keras.applications with random weights.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    verbose, strict = options.pop("verbose"), options.pop("strict")
    fields = {field: options.pop(field) for field in Delivery.__dataclass_fields__ if field in options}
    delivery = Delivery.checked(by="layer", depth=None, **fields)
    delivery.check_kind()
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.profiling.influence import influence

        record = influence(**options, top=max(20, delivery.top or 0), command=line, progress=progress)
    delivery.deliver(record, None)
    ctx.exit(exit_code(record, strict=strict))


def exit_code(record: InfluenceRecord, *, strict: bool) -> int:
    """With `strict` 1 where a certificate is not met, else 0."""
    reports = (report for report in (record.paths, record.relevance) if report is not None)
    return 1 if strict and not all(report.consistent for report in reports) else 0
