"""The tables of a check as a person wrote them, checked: a mistake names the key, and what may have been meant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from tfopt.errors import UsageError
from tfopt.records.check_settings import ModelSettings
from tfopt.records.fact_kinds import FACTS

__all__ = ["merged", "read_table", "read_tables", "satisfiable"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def read_table(kind: type[_Settings], table: Any, name: str) -> _Settings:
    """`table`, called `name` in messages, as its kind says. UsageError names an unknown key or an impossible value."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{name} is no table: {table!r}", f"write [{name}] above its keys")
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise UsageError(f"unknown key {key!r} in {name}", hint)
    for key, value in table.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{key} in {name} is no limit: {value}", "write a number, or leave the key out")
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        key = at.rstrip("`").removeprefix(".")
        value = f", not {table[key]!r}" if key in table else ""
        what = f"{key} in {name}" if key else name
        raise UsageError(
            f"{what}: {reason[:1].lower()}{reason[1:]}{value}", _hint(table.get(key), reason, name)
        ) from None


def _hint(value: Any, reason: str, name: str) -> str:
    percents = isinstance(value, int | float) and 2 <= value <= 100 and reason.endswith(("<= 1.0", "< 1.0"))
    return f"a share: {value / 100:g} is {value:g} %" if percents else f"mend [{name}]"


def read_tables(tables: Any, name: str) -> tuple[ModelSettings, ...]:
    """An array of tables, each a model."""
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        raise UsageError(f"{name} is no array of tables", f"write [[{name}]] above each model's keys")
    return tuple(read_table(ModelSettings, table, f"{name}[{at}]") for at, table in enumerate(tables))


def merged(kind: type[_Settings], general: Any, own: Any, name: str, own_name: str) -> _Settings:
    """A model's own table over the general one; each is checked under its own name."""
    read_table(kind, general, name)
    read_table(kind, own, own_name)
    return read_table(kind, {**general, **own}, own_name)


def satisfiable(budgets: Mapping[str, Any], name: str) -> None:
    """UsageError where no value of a fact is allowed."""
    for fact in FACTS:
        least, most = budgets.get(f"min_{fact}"), budgets.get(f"max_{fact}")
        if least is not None and most is not None and least > most:
            what = f"min_{fact} is {least:g} and max_{fact} is {most:g} in {name}"
            raise UsageError(f"{what}: nothing is allowed", "a general limit may stand beside the model's own")
