"""The `tfopt` command: finds the verb, runs it, turns every ending into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import cast

import click

import tfopt
from tfopt.cli.failures import EXIT_CODES, show_failure
from tfopt.cli.output import discard_stdout, flush_stdout

__all__ = ["COMMANDS", "cli", "main"]

# Verb: the module whose `command` it is, and its line in the help. Modules are imported when their verb is used.
COMMANDS = {
    "profile": ("tfopt.cli.profile", "Measure where a step's time goes: layers, ops, phases."),
    "compare": ("tfopt.cli.compare", "Find the fastest way to run a model, and what that changes."),
    "inspect": ("tfopt.cli.inspect", "Show what each layer costs, without running a step."),
    "influence": ("tfopt.cli.influence", "Show which pathways carry the result, and how sure that is."),
    "gradients": ("tfopt.cli.gradients", "Show how large each gradient is, also at modified weights."),
    "gradcheck": ("tfopt.cli.gradcheck", "Check gradients against differences of the loss."),
    "prune": ("tfopt.cli.prune", "Remove the weights that matter least, and show what that does."),
    "check": ("tfopt.cli.check", "Hold models to budgets, accuracy and time in CI."),
    "report": ("tfopt.cli.report", "Show a recorded run or anybody's trace, without TensorFlow."),
    "tensorboard": ("tfopt.cli.tensorboard", "Serve recorded runs in TensorBoard's profiler."),
    "doctor": ("tfopt.cli.doctor", "Find what is wrong here, or why TensorBoard shows nothing."),
}

_EPILOG = f"""\b
Exit codes:
{EXIT_CODES}

\b
Every option may also come from the environment (TFOPT_SEED=1, or
TFOPT_PROFILE_SEED=1 for one command), from --config FILE.toml, or from
[tool.tfopt] in ./pyproject.toml; the first of these in the order flag,
environment, file, pyproject.toml wins.

\b
Shell completion:  eval "$(_TFOPT_COMPLETE=bash_source tfopt)"
                   (zsh_source, fish_source likewise)
"""


class _LazyGroup(click.Group):
    """A group that imports a verb only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, import_module(COMMANDS[cmd_name][0]).command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise _unknown(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _unknown(word: str) -> tfopt.TfoptError:
    from difflib import get_close_matches

    from tfopt.errors import UsageError

    close = get_close_matches(word, COMMANDS, n=1)
    commands = ", ".join(COMMANDS)
    hint = f"did you mean {close[0]}?" if close else f"the commands are {commands}; for example tfopt profile MODEL"
    return UsageError(f"no such command: {word}", hint)


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(tfopt.__version__, "--version", message="tfopt %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Where does a saved Keras model spend its time, what would make it faster, which weights carry its result, and did
    anybody make it worse?

    MODEL is a .keras or .h5 file, a SavedModel folder, or app:NAME for a network of keras.applications with random
    weights. Try it: tfopt profile app:MobileNetV2 --input-size 96
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line `args` (default: the process's own) and give its exit code; see `tfopt --help`."""
    argv = list(sys.argv[1:] if args is None else args)
    try:
        if "_TFOPT_COMPLETE" in os.environ:
            cli.main(argv, prog_name="tfopt")
        with cli.make_context("tfopt", argv, obj=argv) as ctx:
            cli.invoke(ctx)
        flush_stdout()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        discard_stdout()
    except (Exception, KeyboardInterrupt) as error:
        return show_failure(error, argv)
    return 0
