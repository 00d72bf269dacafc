"""Options that several verbs share: how the result looks, where it goes, and how much is said on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tfopt.cli.config import load_config
from tfopt.cli.settings import GENERAL, Option, in_section
from tfopt.report import FORMATS
from tfopt.report.view import BY, INSPECTION_BY, TRACE_BY

__all__ = ["INSPECTION_REPORT", "LISTED", "MANNERS", "OUTPUT", "REPORT", "TRACE_REPORT"]


def _configure(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if not ctx.resilient_parsing:
        load_config(ctx, value)


def _by(choices: Sequence[str], what: str) -> Option:
    return Option(["--by"], type=click.Choice(choices), default="layer", show_default=True, help=what)


_ROWS = "What the rows are: the layer tree with the largest ops, all ops, op types, or phases."
_DEPTH = Option(
    ["--depth"],
    type=click.IntRange(min=0),
    metavar="N",
    help="Open the layer tree this far (0: the model alone). Default: as far as --top goes.",
)
_OPS = "12 layers, 30 ops, 20 types, 5 ops per phase"


def _top(default: str) -> Option:
    return Option(
        ["--top"],
        type=click.IntRange(min=0),
        metavar="N",
        help=f"Show this many rows, the largest, and sum up the rest; 0 shows all. Default: {default}. JSON and CSV "
        "always hold every row.",
    )


class _FormatName(click.Choice[str]):
    """Any format is understood, so that it can be said what it shows; only those `offered` are."""

    def __init__(self, offered: Sequence[str]) -> None:
        super().__init__(list(FORMATS))
        self.offered = offered

    def get_invalid_choice_message(self, value: str, ctx: click.Context | None) -> str:
        return f"{value!r} is not one of {', '.join(map(repr, self.offered))}"


def _output(*kinds: str) -> tuple[Option, ...]:
    """Where a report of records of these kinds goes; of other formats it is said that they do not show them."""
    shown = [format for format in FORMATS.values() if format.only in ("", *kinds)]
    names = [format.name for format in shown]
    return (
        Option(
            ["--format", "format_name"],
            type=_FormatName(names),
            default="table",
            show_default=True,
            metavar=f"[{'|'.join(names)}]",
            help="Format of what goes to standard output.",
        ),
        Option(
            ["-o", "--output", "outputs"],
            type=click.Path(path_type=Path),
            multiple=True,
            metavar="FILE",
            help="Also write the report to FILE, in the format of its extension "
            f"({', '.join(format.suffixes[0] for format in shown)}). May be repeated. With --quiet only the files are "
            "written.",
        ),
        Option(["--force"], is_flag=True, help="Overwrite files that exist."),
    )


# The fields of `tfopt.cli.output.Delivery`, with --quiet.
REPORT = in_section("Report", _by(BY, _ROWS), _DEPTH, _top(_OPS), *_output("profile"))
INSPECTION_REPORT = in_section(
    "Report",
    _by(INSPECTION_BY, "What the rows are: the layer tree, layer types, or phases."),
    _DEPTH,
    _top("12 layers, 20 types"),
    *_output(),
)
TRACE_REPORT = in_section(
    "Report",
    _by(TRACE_BY, f"{_ROWS} Of a trace also its kernels or devices."),
    _DEPTH,
    _top(f"{_OPS}, 30 kernels, 16 devices"),
    *_output("profile", "check"),
)
# The same for records without a choice of rows, and for those without rows.
LISTED = in_section("Report", _top("12"), *_output())
CHECK_REPORT = in_section("Report", *_output("check"))
OUTPUT = in_section("Report", *_output())

MANNERS = in_section(
    GENERAL,
    Option(
        ["--config"],
        type=click.Path(),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        in_files=False,
        callback=_configure,
        help="Read options from this TOML file; see also tfopt --help.",
    ),
    Option(["-q", "--quiet"], is_flag=True, help="No progress and no remarks; with -o no report on standard output."),
    Option(["-v", "--verbose"], is_flag=True, help="Say on standard error what is being done."),
    Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        in_files=False,
        help="Show the traceback when something fails.",
    ),
)
