"""`tfopt tensorboard [RUNS]`: the recorded traces in TensorBoard."""

from __future__ import annotations

import sys

import click

from tfopt.cli.options import MANNERS
from tfopt.cli.settings import Command, Option, in_section

__all__ = ["command"]

_EPILOG = """\b
Examples:
  tfopt tensorboard
  tfopt tensorboard runs/model-20261120-093107 --port 6007
"""


_RUNS = click.Argument(["runs"], default="runs", type=click.Path())
_SERVER = in_section(
    "Server",
    Option(
        ["--host"],
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Address to listen on. Whoever reaches it can read the runs.",
    ),
    Option(
        ["--port"],
        type=click.IntRange(0, 65535),
        metavar="N",
        help="Port to listen on (0: any free one). Default: 6006, or the next free one.",
    ),
)


@click.command("tensorboard", cls=Command, epilog=_EPILOG, params=[_RUNS, *_SERVER, *MANNERS])
def command(runs: str, host: str, port: int | None, quiet: bool, verbose: bool) -> None:
    """Serve recorded runs in TensorBoard's profiler, until Ctrl-C.

    RUNS is a run folder or a folder of runs (default: runs). The address is printed once TensorBoard answers.
    """
    from tfopt.cli.terminal import wants_color
    from tfopt.report.progress import watched
    from tfopt.report.runs import check_trace
    from tfopt.report.serving import free_port, tensorboard

    check_trace(runs)
    with tensorboard(runs, host, free_port(host, port), noisy=verbose) as server:
        with watched(quiet=quiet, color=wants_color(sys.stderr)) as progress:
            progress("starting TensorBoard", None)
            server.wait_until_ready()
        click.echo(server.url)
        if not quiet:
            click.echo("serving until Ctrl-C", err=True)
        server.wait()
