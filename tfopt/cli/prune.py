"""`tfopt prune MODEL`: remove the weights that matter least, and say what that does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tfopt.cli.options import MANNERS
from tfopt.cli.prune_options import MEASURING, REMOVED, REPORT, SUBJECT, TRAINING
from tfopt.cli.settings import Argument, Command
from tfopt.errors import UsageError
from tfopt.pruning.names import SCHEDULE_NAMES, THRESHOLD_MODES

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt prune model.keras --sparsity 0.8
  tfopt prune model.keras --threshold 0.05 --dry-run
  tfopt prune model.keras --nm 2:4 -o sparse.keras -o report.json
  tfopt prune model.keras --sparsity 0.95 --data train.npz --finetune 20
  tfopt prune model.keras --sensitivity --data valid.npz
"""
# The ways to say how much is removed, each with what belongs to it alone, and its default.
_WAYS: dict[str, dict[str, str | None]] = {
    "threshold": {"threshold_mode": THRESHOLD_MODES[0]},
    "sparsity": {"scope": None, "schedule": SCHEDULE_NAMES[0], "steps": None},
    "nm": {},
}
_STRONGEST_FIRST = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,  # files
    ParameterSource.DEFAULT,
)


@click.command(
    "prune",
    cls=Command,
    epilog=_EPILOG,
    params=[Argument(["model"]), *SUBJECT, *REMOVED, *TRAINING, *MEASURING, *REPORT, *MANNERS],
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Set the weights that matter least to zero, keep them there while the rest is trained on, and show what that does
    to the result, the file and the time.

    MODEL is a .keras or .h5 file, or app:NAME for a network of keras.applications with random weights. It is only read;
    the pruned model is another file.
    """
    from tfopt.cli.output import Delivery
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched

    options |= _beaten(ctx)
    verbose, force = options.pop("verbose"), options["force"]
    output, reports = _parted(options.pop("outputs"))
    shown = {name: options.pop(name) for name in ("format_name", "top", "quiet")}
    delivery = Delivery.checked(by="layer", depth=None, outputs=reports, force=force, **shown)
    delivery.check_kind()
    line = shlex.join(["tfopt", *(ctx.find_object(list) or [])])
    with watched(quiet=delivery.quiet, verbose=verbose, color=wants_color(sys.stderr)) as progress:
        from tfopt.pruning.pipeline import prune

        try:
            record = prune(**options, output=output, command=line, progress=progress)
        except KeyboardInterrupt as interrupt:
            for note in getattr(interrupt, "__notes__", ()):
                click.echo(note, err=True)
            raise
    delivery.deliver(record, None)
    if record.run.interrupted:
        raise KeyboardInterrupt
    ctx.exit(1 if record.collapsed and not force else 0)


def _beaten(ctx: click.Context) -> dict[str, Any]:
    """What a file says, where the command line asks for something else to be removed: `--threshold` beats a file's
    sparsity, with the scope and the schedule that this has there."""
    ranks = {way: _rank(ctx, way) for way in _WAYS if ctx.params[way] is not None}
    best = min(ranks.values(), default=0)
    return {
        name: default
        for way, rank in ranks.items()
        if rank > best
        for name, default in {way: None, **_WAYS[way]}.items()
        if _rank(ctx, name) > best
    }


def _rank(ctx: click.Context, name: str) -> int:
    return _STRONGEST_FIRST.index(ctx.get_parameter_source(name))


def _parted(outputs: Sequence[Path]) -> tuple[str | None, tuple[Path, ...]]:
    """The model's file, and those of reports."""
    models = [path for path in outputs if path.suffix == ".keras"]
    for path in outputs:
        if path.suffix in (".h5", ".hdf5", ""):
            raise UsageError(f"a pruned model is not written to {path}", f"name it {path.with_suffix('.keras')}")
    if len(models) > 1:
        raise UsageError(f"two models to write: {models[0]} and {models[1]}", "name one .keras file")
    return (str(models[0]) if models else None), tuple(path for path in outputs if path not in models)
