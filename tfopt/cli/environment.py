"""Environment variables that look like ours and are none: a misspelt setting must not pass in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches

import click

from tfopt.cli.settings import Setting
from tfopt.report.escape import one_line

__all__ = ["misspelt"]

_PREFIX = "TFOPT_"
_OURS = frozenset({"TFOPT_CACHE_DIR"})  # read by the library, not by a command
_NEAR = 0.75  # other programs may have TFOPT_ variables too: only what is almost a setting is taken for one


def misspelt(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """(variable, the setting it almost is) for the command in `ctx`."""
    ours = {name for name in os.environ if name.startswith(_PREFIX)}
    known = _OURS.union(_settings(ctx)) if ours else _OURS
    for name in sorted(ours - known):
        close = get_close_matches(name.removeprefix(_PREFIX), [one.removeprefix(_PREFIX) for one in known], 1, _NEAR)
        if close:
            yield one_line(name), _PREFIX + close[0]


def _settings(ctx: click.Context) -> Iterator[str]:
    """The variables of every verb."""
    parent = ctx.parent
    if parent is not None and isinstance(parent.command, click.Group):
        for verb in parent.command.list_commands(parent):
            command = parent.command.get_command(parent, verb)
            for setting in command.params if command is not None else ():
                if isinstance(setting, Setting):
                    yield from setting.variables(verb)
