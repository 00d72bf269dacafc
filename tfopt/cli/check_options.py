"""The options of `tfopt check`. Each is a keyword argument of `tfopt.check`; many are those of `tfopt profile`."""

from __future__ import annotations

import click

from tfopt.cli.compare_options import SHARED, max_time, number, split
from tfopt.cli.profile_options import MODEL, XLA
from tfopt.cli.settings import Option, Table, in_section

__all__ = ["CHECKED", "GATES", "TABLES"]

_KINDS = ("budget", "accuracy", "timing")  # those of `tfopt.records.check`, which is slow to import


def _kinds(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Singular or plural."""
    words = tuple("budget" if word == "budgets" else word for word in split(ctx, param, values))
    for word in words:
        if word not in _KINDS:
            raise click.BadParameter(f"{word!r} is none of budgets, accuracy, timing", ctx, param)
    return words


TABLES = tuple(map(Table, ("budgets", "accuracy", "timing", "models")))

GATES = in_section(
    "Gates",
    Option(["--baseline"], metavar="MODEL", help="What models are held against that name no baseline of their own."),
    Option(
        ["--only"], multiple=True, callback=_kinds, metavar="LIST", help="Kinds of gates: budgets, accuracy, timing."
    ),
    Option(
        ["--lock"],
        type=click.Path(),
        default="tfopt.lock.json",
        show_default=True,
        metavar="FILE",
        help="What was accepted: budgets on increases are held against it.",
    ),
    Option(["--update"], is_flag=True, in_files=False, help="Accept what the models have now: write the lock."),
    Option(
        ["--tolerance"],
        in_files=False,
        callback=lambda ctx, param, value: value and number(0.0, "%", 0.01, 1.0)(ctx, param, value),
        metavar="SHARE",
        help="How much slower a model may be: 5% or 0.05. Default: [check.timing], else 5%.",
    ),
    max_time("The whole check"),
    Option(
        ["--self-test"],
        is_flag=True,
        help="Also time each model against itself: how much seems to differ here where nothing does? What is below "
        "that fails no gate.",
    ),
    Option(["--strict"], is_flag=True, help="Exit with 5 where a gate is inconclusive."),
)

_DEVICE = in_section(
    "Run",
    Option(
        ["--device"],
        default="cpu",
        show_default=True,
        metavar="DEVICE",
        help="cpu, gpu[:N] or tpu[:NAME]. On the CPU its time gates, and wall time beside it; elsewhere wall time.",
    ),
)
_BATCH_SIZE = next(option for option in MODEL if option.name == "batch_size")
CHECKED = (_BATCH_SIZE, *(option for option in SHARED if option.name != "device"), XLA, *_DEVICE)
