"""The lock file: what it keeps, what it refuses, and that a change of a model is a small diff."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec
import pytest
from facts_for_tests import ELSEWHERE, HERE, facts

from tfopt.checks.lock import locked, read_lock, updated, write_lock
from tfopt.errors import InputError
from tfopt.records.facts import Lock


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lock = updated(None, {"m": facts({"m/a": {"params": 3.0}}, params=3.0, sparsity=0.25)}, HERE)
    write_lock(tmp_path / "lock.json", lock)
    assert read_lock(tmp_path / "lock.json") == lock
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]
    assert read_lock(tmp_path / "absent.json") is None


def test_one_number_is_one_line_of_a_diff(tmp_path: Path) -> None:
    texts = []
    for params in (3.0, 4.0):
        lock = updated(None, {"z": facts(params=1.0), "m": facts({"m/a": {"params": 3.0}}, params=params)}, HERE)
        write_lock(tmp_path / "lock.json", lock)
        texts.append((tmp_path / "lock.json").read_text())
    changed = [line for line in difflib.ndiff(*(text.splitlines() for text in texts)) if line[0] in "+-"]
    assert [line.split() for line in changed] == [["-", '"params":', "3"], ["+", '"params":', "4"]]
    assert texts[0].index('"m"') < texts[0].index('"z"')
    assert "cost_s" not in texts[0] or '"cost_s": {}' in texts[0]  # what differs from run to run is not kept


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"\x00\xff\xfe", "damaged"),
        (b"[]", "damaged"),
        (b'{"schema": "tfopt.lock/1"}', "damaged"),
        (b'{"schema": "tfopt.lock/1", "models": {"m": [{"environment": 3}]}}', "damaged"),
        (b'{"schema": "tfopt.lock/1", "models": {}', "damaged"),
        (b'{"schema": "tfopt.lock/2", "models": {"m": 7}}', "schema tfopt.lock/2, and this tfopt reads tfopt.lock/1"),
        (b'{"schema": "\\u001b[31m\\nx", "models": {}}', "is of the schema"),
    ],
)
def test_a_damaged_or_newer_lock_is_an_error_in_two_lines(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "lock.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as raised:
        read_lock(path)
    assert raised.value.exit_code == 3
    assert raised.value.message.isprintable()
    assert raised.value.hint


def test_a_lock_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_lock(tmp_path)


def test_the_environment_decides_which_entry_counts() -> None:
    lock = updated(
        updated(None, {"m": facts(params=3, graph_ops=7)}, ELSEWHERE), {"m": facts(params=3, graph_ops=9)}, HERE
    )
    here, there = locked(lock, "m", HERE), locked(lock, "m", ELSEWHERE)
    assert here is not None
    assert there is not None
    assert (here.facts.values["graph_ops"], here.other_environment) == (9, "")
    assert (there.facts.values["graph_ops"], there.other_environment) == (7, "")
    new = msgspec.structs.replace(HERE, tensorflow="2.99.0")
    other = locked(lock, "m", new)
    assert other is not None
    assert "TensorFlow 2.21.0" in other.other_environment
    assert locked(lock, "unknown", HERE) is None
    assert locked(None, "m", HERE) is None


def test_models_that_a_run_does_not_name_stay_as_they_were() -> None:
    before = updated(None, {"a": facts(params=1), "b": facts(params=2)}, HERE)
    after = updated(before, {"b": facts(params=3)}, HERE)
    assert after.models["a"] == before.models["a"]
    assert [entry.facts.values["params"] for entry in after.models["b"]] == [3]


def test_accepting_a_changed_model_drops_what_other_environments_had_of_the_old_one() -> None:
    """Else a CI in another environment would go on to hold the new model to what was accepted of the old."""
    lock = updated(None, {"m": facts(params=3, graph_ops=7)}, ELSEWHERE)
    lock = updated(lock, {"m": facts(params=4, graph_ops=9)}, HERE)
    assert [entry.environment for entry in lock.models["m"]] == [HERE]
    same = updated(lock, {"m": facts(params=4, graph_ops=8)}, ELSEWHERE)
    assert {entry.environment.cpu for entry in same.models["m"]} == {HERE.cpu, ELSEWHERE.cpu}
    assert updated(same, {"m": facts(params=4, graph_ops=8)}, ELSEWHERE) == same


def test_an_interrupted_write_leaves_the_old_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock.json"
    write_lock(path, Lock(models={}))
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_lock(path, updated(None, {"m": facts(params=1)}, HERE))
    assert (path.read_bytes(), [one.name for one in tmp_path.iterdir()]) == (before, ["lock.json"])
