"""The options of `tfopt prune`. Each is a keyword of `tfopt.prune`; some are those of other verbs."""

from __future__ import annotations

import math
from pathlib import Path

import click

from tfopt.cli.compare_options import max_time, number
from tfopt.cli.options import LISTED
from tfopt.cli.profile_options import MODEL, SEED, THREADS
from tfopt.cli.settings import Option, in_section
from tfopt.pruning.names import CRITERIA_NAMES, SCHEDULE_NAMES, SCOPE_NAMES, THRESHOLD_MODES

__all__ = ["MEASURING", "REMOVED", "REPORT", "SUBJECT", "TRAINING"]

_SHARE = number(-math.inf, "%", 0.01)  # what makes no sense as one, `tfopt.prune` says in better words
_SHARED = {option.name: option for option in MODEL}
_LISTED = {option.name: option for option in LISTED}

SUBJECT = (
    *(_SHARED[name] for name in ("batch_size", "input_shape", "input_size", "data")),
    *in_section(
        "Model and data",
        Option(
            ["--eval-data"],
            metavar="DATA",
            help="What the metric is measured on. Default: --data, and a note that these were tuned on.",
        ),
        Option(
            ["--samples"],
            type=click.IntRange(min=1),
            default=256,
            show_default=True,
            metavar="N",
            help="Most examples that the criterion, or --sensitivity, looks at.",
        ),
    ),
    *(_SHARED[name] for name in ("loss", "imports", "unsafe")),
    *in_section("Run", SEED, THREADS),
)
REMOVED = in_section(
    "What is removed: one of the first three",
    Option(["--threshold"], type=float, metavar="T", help="Weights with |w| <= T; see --threshold-mode."),
    Option(
        ["--sparsity"],
        callback=lambda ctx, param, value: None if value is None else _SHARE(ctx, param, value),
        metavar="SHARE",
        help="This share, the least important first: 80% or 0.8.",
    ),
    Option(
        ["--nm"],
        metavar="N:M",
        help="All but N of M consecutive input channels: 2:4 keeps at most 2 of 4.",
    ),
    Option(
        ["--threshold-mode"],
        type=click.Choice(THRESHOLD_MODES),
        default="absolute",
        show_default=True,
        help="T itself, T standard deviations or T times the largest |w| of each weight, or its T-quantile.",
    ),
    Option(
        ["--criterion"],
        type=click.Choice(CRITERIA_NAMES),
        default="magnitude",
        show_default=True,
        help="What is important; docs/prune.md has the definitions.",
    ),
    Option(
        ["--scope"],
        type=click.Choice(SCOPE_NAMES),
        help="Where weights compete: in each layer, in the whole model, in each layer by its size (erk), or in each "
        "output unit. Default: global, where the criterion allows it.",
    ),
    Option(
        ["--include"],
        multiple=True,
        metavar="PATTERN",
        help="Prune the weights with such a path, as in 'dense_*/kernel'. May be repeated. Default: every kernel but "
        "depthwise ones and embeddings.",
    ),
    Option(
        ["--exclude"],
        multiple=True,
        metavar="PATTERN",
        help="Leave the weights with such a path alone. May be repeated.",
    ),
    Option(["--sensitivity"], is_flag=True, help="Also, or only, show the metric with each weight pruned by itself."),
)
TRAINING = in_section(
    "Training",
    Option(
        ["--finetune"],
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="EPOCHS",
        help="Train on --data with what was removed held at zero.",
    ),
    Option(["--lr"], type=float, metavar="RATE", help="Learning rate in place of the optimizer's own."),
    Option(
        ["--schedule"],
        type=click.Choice(SCHEDULE_NAMES),
        default="one-shot",
        show_default=True,
        help="Remove everything at once, or in steps, one before each of the first epochs.",
    ),
    Option(
        ["--steps"],
        type=click.IntRange(min=1),
        metavar="N",
        help="Steps of the schedule, of fewer than there are epochs. Default: half of the epochs.",
    ),
    Option(
        ["--recalibrate-bn"],
        is_flag=True,
        help="Compute the moving statistics of BatchNormalization anew from --data.",
    ),
    Option(["--resume"], is_flag=True, help="Go on from the checkpoint of an interrupted run."),
)
MEASURING = in_section(
    "Measuring",
    Option(["--latency/--no-latency"], default=True, help="Measure whether it is faster, or not. Default: measure."),
    max_time("Measuring the time", "60"),
)
REPORT = in_section(
    "Output",
    Option(
        ["-o", "--output", "outputs"],
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Write the pruned model to FILE.keras (default: NAME-pruned.keras), and the report to files with other "
        "extensions (.txt, .json, .csv, .md). May be repeated.",
    ),
    Option(["--compress"], is_flag=True, help="Write the model deflated, which Keras reads as it is."),
    Option(["--dry-run"], is_flag=True, help="Write no model, and show what would be removed."),
    Option(
        ["--force"],
        is_flag=True,
        help="Overwrite files that exist, also the input; write a model that collapsed.",
    ),
    _LISTED["format_name"],
    _LISTED["top"],
)
