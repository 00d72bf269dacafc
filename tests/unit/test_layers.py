"""Who may import whom: each room of the package only what stands to its right, TensorFlow only where it belongs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfopt

PACKAGE = Path(__file__).resolve().parents[2] / "tfopt"
# From left to right. docs/architecture.md shows the same.
ORDER = [
    {"cli"},
    {"pruning", "checks"},
    {"profiling", "diagnosis"},
    {"pathways", "modified"},
    {"workload"},
    {"model"},
    {"report"},
    {"trace"},
    {"records"},
    {"scratch"},
    {"errors", "undo", "wording"},
]
TENSORFLOW_ROOMS = {"pruning", "profiling", "pathways", "modified", "workload", "model"}
HEAVY = {"tensorflow", "keras"}
FILES = sorted(PACKAGE.rglob("*.py"))


def _room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py") if parts else ""


def _level(room: str) -> int:
    return next((number for number, group in enumerate(ORDER) if room in group), -1)


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_to_the_right(file: Path) -> None:
    room = _room(file.relative_to(PACKAGE).parts)
    if room in ("__init__", "__main__"):
        return
    assert _level(room) >= 0, f"{room} has no place in the order"
    for name in _imports(file):
        top, *rest = name.split(".")
        if top in HEAVY:
            assert room in TENSORFLOW_ROOMS, f"{file.name} imports {name}"
        if top == "tfopt" and rest and rest[0] != room:
            assert _level(rest[0]) > _level(room), f"{room} imports {name}"


def test_every_room_is_in_the_order() -> None:
    rooms = {_room(file.relative_to(PACKAGE).parts) for file in FILES} - {"__init__", "__main__"}
    assert rooms == set().union(*ORDER)


def test_no_file_is_over_400_lines() -> None:
    assert [file.name for file in FILES if len(file.read_text().splitlines()) > 400] == []


@pytest.mark.parametrize(
    "module",
    [
        "tfopt",
        "tfopt.cli.main",
        "tfopt.trace.recording",
        "tfopt.report",
        "tfopt.records",
        "tfopt.profiling.advice",
        "tfopt.profiling.compare",
        "tfopt.pruning.criteria",
        "tfopt.model.source",
        "tfopt.workload.duel",
        "tfopt.diagnosis.diagnose",
        "tfopt.pruning.pipeline",
        "tfopt.checks.facts",
        "tfopt.checks.budgets",
    ],
)
def test_importing_loads_no_tensorflow(module: str) -> None:
    code = f"import sys, {module}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "home"), tfopt._HOMES.items())
def test_no_module_hides_a_public_name(name: str, home: str) -> None:
    """Once it is imported, a module is an attribute of its package: in place of a function that is called like it."""
    for place in ("tfopt", home):
        folder = PACKAGE.parent.joinpath(*place.split("."))
        assert not (folder / name).exists()
        assert not (folder / f"{name}.py").exists()
