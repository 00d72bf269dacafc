"""What docs/check.md and the README say of `tfopt check` can be typed and copied."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import msgspec
import pytest
from cli_for_tests import ROOT
from jsonschema import Draft202012Validator

from tfopt.cli.check import command
from tfopt.records.fact_kinds import FACTS

DOC = (ROOT / "docs" / "check.md").read_text()
TEXTS = DOC + (ROOT / "README.md").read_text()  # of the toml blocks, the first is complete
COMMANDS = sorted(set(re.findall(r"^(?:.*?[-:$] |    )(tfopt check [^`#\n]*)", TEXTS, re.MULTILINE)))
TABLES = re.findall(r"^```toml\n(.*?)^```", TEXTS, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "check.toml").write_text(TABLES[0])
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    asked = command.make_context("check", shlex.split(line.strip())[2:], parent=click.Context(click.Group("tfopt")))
    assert asked.params["model"] or asked.params["models"]


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 9
    assert sum("junit" in line for line in COMMANDS) >= 2


@pytest.mark.parametrize("text", TABLES)
def test_tables_fit_the_schema(text: str) -> None:
    schema = msgspec.json.decode((ROOT / "docs" / "schema" / "check-config.schema.json").read_bytes())
    assert list(Draft202012Validator(schema).iter_errors(tomllib.loads(text))) == []


def test_every_fact_is_in_the_table() -> None:
    rows = [line.split("|")[1] for line in DOC.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named - {"budgets", "accuracy", "timing"} == set(FACTS)
