"""The options of `tfopt influence`. Each is a keyword of `tfopt.influence`; many are those of `tfopt profile`."""

from __future__ import annotations

import click

from tfopt.cli.options import OUTPUT
from tfopt.cli.profile_options import MODEL, SEED, THREADS
from tfopt.cli.settings import Option, in_section

__all__ = ["LOOKED_AT", "REPORT", "RESULTS"]

_POSITIVE = click.IntRange(min=1)
_SHARED = {option.name: option for option in MODEL}

LOOKED_AT = (
    *(_SHARED[name] for name in ("batch_size", "input_shape", "input_size", "data", "loss", "imports", "unsafe")),
    *in_section(
        "Model and data",
        Option(
            ["--samples"],
            type=_POSITIVE,
            default=256,
            show_default=True,
            metavar="N",
            help="Most examples of --data that are looked at.",
        ),
    ),
    *in_section("Run", SEED, THREADS),
)

RESULTS = in_section(
    "What is shown",
    Option(
        ["--mode"],
        type=click.Choice(["data-free", "data", "both"]),
        help="Path weights, contributions on data, or both. Default: both where --data is given, else data-free.",
    ),
    Option(
        ["--target"],
        numbers=True,
        default="predicted",
        show_default=True,
        metavar="TARGET",
        help="What contributions are to: predicted (each sample's class), the number of an output, or margin (the "
        "predicted logit less the mean of the others).",
    ),
    Option(
        ["--groups"],
        multiple=True,
        metavar="NAME=PATTERN",
        help="Show the share of all paths through these layers or weights (* for anything). May be repeated.",
    ),
    Option(
        ["--paths"],
        type=click.IntRange(min=0, max=20),
        default=3,
        show_default=True,
        metavar="K",
        help="Find the K strongest single paths.",
    ),
    Option(
        ["--level"],
        type=click.Choice(["unit", "layer"]),
        default="unit",
        show_default=True,
        help="What these lead through.",
    ),
    Option(
        ["--maxpool"],
        type=click.Choice(["sum", "max"]),
        default="sum",
        show_default=True,
        help="Paths lead through every place of a pooling window, or through the largest alone.",
    ),
    Option(
        ["--biases"],
        type=click.Choice(["exclude", "include"]),
        default="exclude",
        show_default=True,
        help="Whether paths that start at a bias count.",
    ),
    Option(
        ["--ablate"],
        type=_POSITIVE,
        metavar="K",
        help="Set the K weakest and the K strongest units to zero, and measure what that does beside random ones.",
    ),
    Option(
        ["--health/--no-health"],
        default=None,
        help="Look at signals and gradients of one batch, or not. Default: where --data is given.",
    ),
    Option(["--strict"], is_flag=True, help="Exit with 1 where the result is not certified."),
)

REPORT = (
    *in_section(
        "Report",
        Option(
            ["--top"],
            type=click.IntRange(min=0),
            metavar="N",
            help="Show this many rows of each table, the largest; 0 shows all. JSON and CSV always hold every row.",
        ),
    ),
    *OUTPUT,
)
