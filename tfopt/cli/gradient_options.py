"""What `tfopt gradients` and `tfopt gradcheck` share: options, and how a record is made and delivered."""

from __future__ import annotations

import shlex
import sys
from importlib import import_module
from typing import Any

import click

from tfopt.cli.profile_options import MODEL
from tfopt.cli.settings import Option, in_section

__all__ = ["MODIFICATION", "delivered", "subject"]


def subject(examples: int) -> tuple[Option, ...]:
    """Options on model and data, of which a step takes so many examples by default."""
    size = Option(
        ["--batch-size"],
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Examples per step. Default: {examples}, or what the data has.",
    )
    others = (option for option in MODEL if option.name not in ("batch_size", "optimizer"))
    return in_section("Model and data", size, *others)


MODIFICATION = in_section(
    "Modified weights",
    Option(
        ["--modify"],
        multiple=True,
        metavar="WHAT",
        help="Run the weights through scale=0.5, threshold=0.1, ste-threshold=0.1, fake-quant=8, low-rank=4, relu, "
        "tanh, …, or package.module:function. May be repeated: in this order.",
    ),
    Option(
        ["--include"],
        multiple=True,
        metavar="PATTERN",
        help="Modify the weights with such a path, as in 'dense_*/kernel'. May be repeated. Default: every kernel but "
        "those of embeddings, whose gradients would become dense and slow.",
    ),
)


def delivered(ctx: click.Context, verb: str, options: dict[str, Any]) -> Any:
    """The record that `tfopt.profiling.VERB` makes of these options, after it was delivered as they say."""
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    verbose = options.pop("verbose")
    names = [name for name in Delivery.__dataclass_fields__ if name in options]
    delivery = Delivery.checked(by="layer", depth=None, **{name: options.pop(name) for name in names})
    delivery.check_kind()
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        library = getattr(import_module(f"tfopt.profiling.{verb}"), verb)
        record = library(**options, command=line, progress=progress)
    delivery.deliver(record, None)
    return record
