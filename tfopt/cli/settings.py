"""Parameters that may also stand in the environment or in a configuration file, and help in sections."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import click
from click.core import ParameterSource

from tfopt.errors import TfoptError

__all__ = [
    "CONFIG",
    "GENERAL",
    "ORIGINS",
    "Argument",
    "BadChoice",
    "Command",
    "Option",
    "Setting",
    "Table",
    "in_section",
]

GENERAL = "General"  # the section of what every command has, --help included
# In a context's `meta`: parameter name -> where its value stands, and the file of --config.
ORIGINS, CONFIG = "tfopt.config", "tfopt.config.file"
# Choices under names that are nothing like ours.
_ALIASES = {"fp16": "float16", "half": "float16", "fp32": "float32", "predict": "infer"}


class Setting(click.Parameter):
    """A parameter with a `key`: its name in configuration files and, in capitals, in the environment."""

    in_files = True
    numbers = False

    @property
    def wants_text(self) -> bool:
        """Whether a number can only be a mistake: nothing makes one of it, or it would be the name of a file."""
        return isinstance(self.type, click.Path | type(click.STRING)) and self.callback is None and not self.numbers

    @property
    def key(self) -> str:
        """The long option's name, or the argument's, with underscores: `batch_size`."""
        names = [name for name in self.opts if name.startswith("--")] or [str(self.name)]
        return names[0].lstrip("-").replace("-", "_")

    def variables(self, verb: str | None) -> tuple[str, ...]:
        """The environment variables that are asked, the verb's own first."""
        return f"TFOPT_{verb}_{self.key}".upper(), f"TFOPT_{self.key}".upper()

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        return next((value for name in self.variables(ctx.command.name) if (value := os.environ.get(name))), None)

    def origin(self, ctx: click.Context) -> str:
        """Where the value stands, if not on the command line; '' where it does, or nowhere."""
        source = ctx.get_parameter_source(str(self.name))
        if source is ParameterSource.ENVIRONMENT:
            return f"the environment: {' or '.join(self.variables(ctx.command.name))}"
        return str(ctx.meta[ORIGINS][self.name]) if source is ParameterSource.DEFAULT_MAP else ""


class BadChoice(click.BadParameter):
    """A word that is none of an option's choices; `meant` is the one that is like it, or ''."""

    meant = ""


class Option(Setting, click.Option):
    """An option; `section` is its heading in the help, `in_files` false keeps it out of configuration files, `numbers`
    says that its text may be a number."""

    section = GENERAL

    def __init__(self, *args: Any, in_files: bool = True, numbers: bool = False, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.in_files, self.numbers = in_files, numbers

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            if not isinstance(self.type, click.Choice) or not isinstance(value, str):
                raise
            bad = BadChoice(error.message, ctx, self)
            word = _ALIASES.get(value.lower(), value.lower())
            bad.meant = next(iter(get_close_matches(word, map(str, self.type.choices), 1)), "")
            raise bad from error


def in_section(title: str, *options: Option) -> tuple[Option, ...]:
    """`options`, to be listed under `title`."""
    for option in options:
        option.section = title
    return options


class Argument(Setting, click.Argument):
    """An argument that a file or the environment may supply."""


class Table(Setting):
    """A table that only configuration files have, given to the command as it stands there."""

    param_type_name = "table"

    def __init__(self, name: str) -> None:
        super().__init__([name], type=click.UNPROCESSED)

    def variables(self, verb: str | None) -> tuple[str, ...]:
        return ()

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """The command line knows nothing of it."""

    def _parse_decls(self, decls: Sequence[str], expose_value: bool) -> tuple[str, list[str], list[str]]:
        return decls[0], [], []


def _unseen(ctx: click.Context) -> Iterator[str]:
    """Arguments whose values the command line does not show: an error may be about them."""
    for setting in ctx.command.params:
        if isinstance(setting, Argument) and (origin := setting.origin(ctx)):
            yield f"; {setting.human_readable_name} is {ctx.params[str(setting.name)]}, from {origin}"


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
        try:
            return super().invoke(ctx)
        except TfoptError as error:
            error.hint += "".join(_unseen(ctx))
            raise

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
