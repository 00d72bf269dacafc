"""The options of `tfopt compare`. Each is a keyword argument of `tfopt.compare`; many are those of `tfopt profile`."""

from __future__ import annotations

import math
from collections.abc import Callable

import click

from tfopt.cli.profile_options import MODEL, RUN
from tfopt.cli.settings import Option, in_section

__all__ = ["COMPARED", "MEASURING", "SHARED", "max_time", "number", "split"]

_SHARED_NAMES = (
    *("input_shape", "input_size", "data", "loss", "optimizer", "imports", "unsafe"),
    *("mode", "device", "seed", "threads"),
)
_PROFILE = {option.name: option for option in (*MODEL, *RUN)}
SHARED = tuple(_PROFILE[name] for name in _SHARED_NAMES)


def split(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The words of values such as `graph,xla`."""
    words = tuple(word.strip() for value in values for word in value.split(",") if word.strip())
    if values and not words:
        raise click.BadParameter("it names nothing", ctx, param)
    return words


def _sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    words = split(ctx, param, values)
    for word in words:
        if not word.isdecimal() or not int(word):
            raise click.BadParameter(f"{word!r} is not a number of examples", ctx, param)
    return tuple(int(word) for word in words)


def number(least: float, unit: str, scale: float, most: float = float("inf")) -> Callable[..., float]:
    """A number, or with `unit` behind it one that is multiplied by `scale`."""

    def parsed(ctx: click.Context, param: click.Parameter, value: str) -> float:
        text = str(value).strip()
        try:
            number = float(text.removesuffix(unit)) * (scale if text.endswith(unit) else 1.0)
            if math.isnan(number):
                raise ValueError
        except ValueError:
            such = param.default if isinstance(param.default, str) else f"{5 * scale:g}"
            raise click.BadParameter(f"{text!r} is not a number such as {such}", ctx, param) from None
        if not least < number < most:
            allowed = f"between {least:g} and {most / scale:g}{unit}" if math.isfinite(most) else f"above {least:g}"
            raise click.BadParameter(f"{text} must be {allowed}", ctx, param)
        return number

    return parsed


def max_time(what: str, default: str = "300") -> Option:
    """The option that limits how long `what` takes."""
    return Option(
        ["--max-time"],
        default=default,
        show_default=True,
        callback=number(0.0, "m", 60.0),
        metavar="SECONDS",
        help=f"{what} takes no longer: seconds, or 5m.",
    )


COMPARED = in_section(
    "What is compared",
    Option(
        ["--variants"],
        multiple=True,
        callback=split,
        metavar="LIST",
        help="Ways to run: graph, xla, eager, float32, mixed_float16, mixed_bfloat16, float16, bfloat16, saved (as the "
        "file says), cpu, gpu, and combinations such as xla+mixed_bfloat16. Default: graph,xla,mixed_bfloat16; "
        "of several models graph.",
    ),
    Option(["--batch-sizes"], multiple=True, callback=_sizes, metavar="LIST", help="Examples per step, such as 16,32."),
)

MEASURING = in_section(
    "Measuring",
    Option(
        ["--tolerance"],
        default="5%",
        show_default=True,
        callback=number(0.0, "%", 0.01, 1.0),
        metavar="SHARE",
        help="A change below it does not matter: 5% or 0.05.",
    ),
    max_time("The whole comparison"),
    Option(
        ["--clock"],
        type=click.Choice(["wall", "cpu"]),
        help="What decides. Default: wall time, and CPU time where only that can tell.",
    ),
    Option(
        ["--processes"],
        type=click.IntRange(min=2),
        default=12,
        show_default=True,
        metavar="N",
        help="Most fresh processes per variant; four where they agree.",
    ),
    Option(
        ["--drift/--no-drift"],
        default=True,
        help="Also compare what the variants compute with the float32 graph, or only their time (causes are then not "
        "told). Default: also.",
    ),
    Option(
        ["--samples"],
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        metavar="N",
        help="Most examples of --data over which the metric is compared.",
    ),
    Option(["--strict"], is_flag=True, help="Exit with 5 where a variant could not be told from the baseline."),
)
