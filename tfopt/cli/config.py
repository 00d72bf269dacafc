"""Configuration files: `--config FILE.toml`, then `[tool.tfopt]` in the working directory's pyproject.toml.

Keys are the long options' names (`batch-size` or `batch_size`) and `model`. At the top they count for every verb that
knows them, in a table named after a verb (`[profile]`, `[tool.tfopt.profile]`) for that verb alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from tfopt.cli.settings import CONFIG, ORIGINS, Setting, Table
from tfopt.errors import UsageError

__all__ = ["load_config"]

_Settings = Mapping[str, Setting]


@dataclass(frozen=True)
class _Source:
    """The part of a file that is ours, and how its tables are called there."""

    file: str
    table: Mapping[str, Any]
    prefix: str

    def place(self, verb: str = "") -> str:
        name = ".".join(part for part in (self.prefix, verb) if part)
        return f"[{name}] of {self.file}" if name else f"the top of {self.file}"


def load_config(ctx: click.Context, file: str | None) -> None:
    """Make the files' values the defaults of the command in `ctx`, those of `file` before pyproject.toml's.

    UsageError for a file that cannot be read, a key that no command knows, or a value of the wrong kind.
    """
    verbs = _verbs(ctx)
    defaults: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in _sources(file):
        for setting, value, place in _values(source, verbs, str(ctx.command.name)):
            defaults[str(setting.name)] = _as_given(value, setting, place)
            origins[str(setting.name)] = place
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    ctx.meta[ORIGINS], ctx.meta[CONFIG] = origins, file


def _verbs(ctx: click.Context) -> dict[str, _Settings]:
    """What may be configured, by verb."""
    commands = [ctx.command]
    parent = ctx.parent
    if parent is not None and isinstance(parent.command, click.Group):
        names = parent.command.list_commands(parent)
        commands += [command for name in names if (command := parent.command.get_command(parent, name))]
    return {str(command.name): _settings(command) for command in commands}


def _settings(command: click.Command) -> _Settings:
    found = (parameter for parameter in command.params if isinstance(parameter, Setting))
    return {setting.key: setting for setting in found if setting.in_files}


def _sources(file: str | None) -> Iterator[_Source]:
    if Path("pyproject.toml").is_file():
        yield _source("pyproject.toml", _read("pyproject.toml"), {})
    if file is not None:
        data = _read(file)
        yield _source(file, data, data)


def _source(file: str, data: Mapping[str, Any], otherwise: Mapping[str, Any]) -> _Source:
    """`[tool.tfopt]` where the file has it, else `otherwise`."""
    tool = data.get("tool")
    ours = tool.get("tfopt") if isinstance(tool, dict) else None
    if ours is None:
        return _Source(file, otherwise, "")
    if not isinstance(ours, dict):
        raise UsageError(f"tool.tfopt in {file} is not a table", "write [tool.tfopt] above its keys")
    return _Source(file, ours, "tool.tfopt")


def _read(file: str) -> dict[str, Any]:
    import tomllib  # only those who configure pay for it

    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"the configuration file {file} does not exist", "check the path after --config") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}", "check the path after --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}", "mend that line") from error


def _values(source: _Source, verbs: Mapping[str, _Settings], verb: str) -> Iterator[tuple[Setting, Any, str]]:
    """The settings of `verb` in `source`: those for all verbs first, so that its own table has the last word."""
    tables = {key: value for key, value in source.table.items() if isinstance(value, dict)}
    common = {key: value for key, value in source.table.items() if key not in tables}
    _check(common, {key for settings in verbs.values() for key in settings}, source.place(), verbs)
    for name, table in tables.items():
        if name not in verbs:
            raise _unknown(name, "table", source.place(), verbs)
        _check(table, verbs[name], source.place(name), ())
    for table, place in ((common, source.place()), (tables.get(verb, {}), source.place(verb))):
        for key, value in table.items():
            if _normal(key) in verbs[verb]:
                yield verbs[verb][_normal(key)], value, place


def _check(table: Iterable[str], known: Iterable[str], place: str, tables: Iterable[str]) -> None:
    for key in table:
        if key in tables:
            raise UsageError(f"{key!r} in {place} is no table", f"write [{key}] above its keys")
        if _normal(key) not in known:
            raise _unknown(key, "key", place, [*known, *tables])


def _normal(key: str) -> str:
    return key.replace("-", "_")


def _unknown(key: str, what: str, place: str, known: Iterable[str]) -> UsageError:
    names = sorted(name.replace("_", "-") for name in known)
    close = get_close_matches(key.replace("_", "-"), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(names)}"
    return UsageError(f"unknown {what} {key!r} in {place}", hint)


def _as_given(value: Any, setting: Setting, place: str) -> Any:
    """`value` as it would stand on the command line, so that it is checked like one; a table is whoever's it is."""
    if isinstance(setting, Table):
        return value
    if getattr(setting, "multiple", False) or setting.nargs == -1:
        items = value if isinstance(value, list) else [value]
        return [_text(item, setting, place) for item in items]
    if getattr(setting, "is_flag", False):
        if not isinstance(value, bool):
            raise UsageError(f"{setting.key} in {place} is neither true nor false: {value!r}", "write true or false")
        return value
    return _text(value, setting, place)


def _text(value: Any, setting: Setting, place: str) -> str:
    kinds = str if setting.wants_text else str | int | float
    if isinstance(value, kinds) and not isinstance(value, bool):
        return str(value)
    hint = "write one text" if setting.wants_text else "write one text or number"
    raise UsageError(f"{setting.key} in {place} has the wrong kind of value: {value!r}", hint)
