"""What runs and how: options of `tfopt profile`, some of which other verbs share. Each is a keyword of a function."""

from __future__ import annotations

import re

import click

from tfopt.cli.settings import Option, in_section
from tfopt.workload.options import PRECISIONS

__all__ = ["MODEL", "PRECISION", "RUN", "SEED", "THREADS", "XLA"]

_POSITIVE = click.IntRange(min=1)
_SHAPE = re.compile(r"(?:[^=]+=)?[1-9][0-9]*(?:,[1-9][0-9]*)*")


def _shapes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _SHAPE.fullmatch(value):
            raise click.BadParameter(f"{value!r} is not a shape such as 96,96,3 or NAME=20,41", ctx, param)
    return values


MODEL = in_section(
    "Model and data",
    Option(["--batch-size"], type=_POSITIVE, metavar="N", help="Examples per step. Default: 32, or what the data has."),
    Option(
        ["--input-shape"],
        callback=_shapes,
        multiple=True,
        metavar="[NAME=]SHAPE",
        help="Shape of one example, where the model leaves it open: 96,96,3 or tokens=41. May be repeated.",
    ),
    Option(
        ["--input-size"], type=_POSITIVE, metavar="N", help="Height and width of the images of an app:NAME network."
    ),
    Option(
        ["--data"],
        default="synthetic",
        show_default=True,
        metavar="DATA",
        help="synthetic (drawn to fit the inputs), FILE.npz, or package.module:function that gives a tf.data.Dataset.",
    ),
    Option(["--loss"], metavar="NAME", help="Keras loss in place of the model's own."),
    Option(["--optimizer"], metavar="NAME", help="Keras optimizer in place of the model's own."),
    Option(
        ["--import", "imports"],
        multiple=True,
        metavar="MODULE",
        help="Import this module first: it registers custom layers. May be repeated.",
    ),
    Option(["--unsafe"], is_flag=True, help="Run code stored in the model file (Lambda layers): only if you trust it."),
)

PRECISION = Option(
    ["--precision"],
    type=click.Choice(PRECISIONS),
    default=None,
    help="What the layers compute in. Default: what the model was saved with.",
)
XLA = Option(
    ["--xla/--no-xla"],
    default=None,
    help="Compile the step with XLA, or not. Default: as the model says, but not on the CPU.",
)
SEED = Option(
    ["--seed"],
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of data, dropout and drawn weights.",
)
THREADS = Option(
    ["--threads"], type=_POSITIVE, metavar="N", help="Threads for ops on the CPU. Default: TensorFlow's choice."
)
RUN = in_section(
    "Run",
    Option(
        ["--mode"],
        type=click.Choice(["train", "infer"]),
        default="train",
        show_default=True,
        help="What a step is: forward, loss, backward and update, or forward alone.",
    ),
    PRECISION,
    XLA,
    Option(["--eager"], is_flag=True, help="Run op by op, without a graph."),
    Option(["--device"], default="auto", show_default=True, metavar="DEVICE", help="auto, cpu, gpu[:N] or tpu[:NAME]."),
    SEED,
    THREADS,
    Option(["--steps"], type=_POSITIVE, metavar="N", help="Timed steps without the profiler. Default: until stable."),
    Option(
        ["--trace-steps"],
        type=_POSITIVE,
        metavar="N",
        help="Steps recorded by the profiler, for the shares. Default: 5, more of short ones.",
    ),
    Option(
        ["--recalibrate"],
        is_flag=True,
        help="Measure anew what this machine can do at best, which is measured once and kept otherwise.",
    ),
    Option(
        ["--influence/--no-influence"],
        default=True,
        show_default=True,
        help="Look at path weights and at the health of signals and gradients, too.",
    ),
    Option(
        ["--run-dir"],
        default="runs",
        show_default=True,
        metavar="DIR",
        help="Keep record and trace in DIR/MODEL-TIMESTAMP/.",
    ),
    Option(["--no-save"], is_flag=True, help="Keep nothing."),
)
