"""Modules named with `--import`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfopt.errors import UsageError
from tfopt.model.imports import custom_objects, import_modules

MODULE = """
import keras
from keras.layers import Dense

class Layer1(keras.layers.Layer): pass
class Loss1(keras.losses.Loss): pass
class Start(keras.initializers.Initializer): pass
class Swish:
    def __call__(self, x): return x
def my_activation(x): return x
class Plain: pass
Alias = Layer1
CONSTANT = 3
"""


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith("for_import"):
            del sys.modules[name]


def test_what_a_module_defines(tmp_path: Path) -> None:
    (tmp_path / "for_import_a.py").write_text(MODULE)
    modules = import_modules(["for_import_a"])
    found = custom_objects(modules, ["Shop>Layer1", "Shop>Unknown"])
    assert set(found) == {"Layer1", "Loss1", "Start", "Swish", "my_activation", "Alias", "Shop>Layer1"}
    assert found["Shop>Layer1"] is modules[0].Layer1


def test_a_module_in_a_package(tmp_path: Path) -> None:
    (tmp_path / "for_import_b").mkdir()
    (tmp_path / "for_import_b" / "nets.py").write_text(MODULE)
    (tmp_path / "for_import_b" / "__init__.py").write_text("from for_import_b.nets import Layer1")
    assert set(custom_objects(import_modules(["for_import_b"]), [])) == {"Layer1"}
    assert "my_activation" in custom_objects(import_modules(["for_import_b.nets"]), [])


def test_the_working_directory_comes_last_afterwards(tmp_path: Path) -> None:
    (tmp_path / "for_import_c.py").write_text("")
    import_modules(["for_import_c"])
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("1/0", "ZeroDivisionError"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def", "SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported(content: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "for_import_d.py").write_text(content)
    with pytest.raises(UsageError, match="--import for_import_d failed") as caught:
        import_modules(["for_import_d"])
    assert cause in caught.value.message


@pytest.mark.parametrize("name", ["", "a/b.py", "a.b.", "../a", "1a", "a b"])
def test_names_that_are_no_modules(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a module"):
        import_modules([name])
