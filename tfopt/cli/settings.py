"""Parameters that may also stand in the environment or in a configuration file, and help in sections."""

from __future__ import annotations

import os
from typing import Any

import click

__all__ = ["GENERAL", "Argument", "Command", "Option", "Setting", "in_section"]

GENERAL = "General"  # the section of what every command has, --help included


class Setting(click.Parameter):
    """A parameter with a `key`: its name in configuration files and, in capitals, in the environment."""

    in_files = True

    @property
    def key(self) -> str:
        """The long option's name, or the argument's, with underscores: `batch_size`."""
        names = [name for name in self.opts if name.startswith("--")] or [str(self.name)]
        return names[0].lstrip("-").replace("-", "_")

    def variables(self, verb: str | None) -> tuple[str, str]:
        """The environment variables that are asked, the verb's own first."""
        return f"TFOPT_{verb}_{self.key}".upper(), f"TFOPT_{self.key}".upper()

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return next((value for name in self.variables(ctx.command.name) if (value := os.environ.get(name))), None)


class Option(Setting, click.Option):
    """An option; `section` is its heading in the help, `in_files` false keeps it out of configuration files."""

    section = GENERAL

    def __init__(self, *args: Any, in_files: bool = True, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.in_files = in_files


def in_section(title: str, *options: Option) -> tuple[Option, ...]:
    """`options`, to be listed under `title`."""
    for option in options:
        option.section = title
    return options


class Argument(Setting, click.Argument):
    """An argument that a file or the environment may supply."""


class Command(click.Command):
    """A command whose help lists its options by section."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # some of click's errors do not know which command they are about
            raise

    def invoke(self, ctx: click.Context) -> Any:
        from tfopt.cli.environment import misspelt

        for name, setting in () if ctx.params.get("quiet") else misspelt(ctx):
            click.echo(f"note: the environment variable {name} is not read (did you mean {setting}?)", err=True)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", GENERAL), []).append(line)
        sections[GENERAL] = sections.pop(GENERAL)  # last, although --config is parsed first
        for name, lines in sections.items():
            with formatter.section(name):
                formatter.write_dl(lines)
