"""What can be asked of `tfopt.prune`, and which wishes contradict each other: said before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from cli_for_tests import tfopt

from tfopt.errors import UsageError
from tfopt.pruning.allocation.schedules import SCHEDULES
from tfopt.pruning.allocation.scopes import SCOPES
from tfopt.pruning.allocation.thresholds import THRESHOLD_MODES as MODES
from tfopt.pruning.criteria import CRITERIA
from tfopt.pruning.names import CRITERIA_NAMES, SCHEDULE_NAMES, SCOPE_NAMES, THRESHOLD_MODES
from tfopt.pruning.wishes import Wishes

NOTHING: dict[str, Any] = dict.fromkeys(("threshold", "sparsity", "nm", "scope", "steps", "lr", "eval_data", "output"))
NOTHING |= {
    "threshold_mode": "absolute",
    "criterion": "magnitude",
    "include": (),
    "exclude": (),
    "schedule": "one-shot",
}
NOTHING |= {"finetune": 0, "recalibrate_bn": False, "sensitivity": False, "data": "synthetic", "samples": 256}
NOTHING |= {"resume": False, "dry_run": False}


def wishes(**more: Any) -> Wishes:
    return Wishes(**{**NOTHING, **more})


def test_the_names_that_are_shown_are_those_of_the_registries() -> None:
    assert set(CRITERIA_NAMES) == set(CRITERIA)
    assert set(SCOPE_NAMES) == set(SCOPES)
    assert tuple(SCHEDULES) == SCHEDULE_NAMES
    assert tuple(MODES) == THRESHOLD_MODES


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({}, "nothing says how much", "--threshold T, --sparsity S or --nm"),
        ({"threshold": 0.5, "sparsity": 0.5}, "--threshold and --sparsity exclude each other", "one"),
        ({"nm": "2:4", "sparsity": 0.5}, "--sparsity and --nm exclude", "one"),
        ({"sparsity": 80.0}, "above 0 and below 1, not 80", "did you mean 0.8?"),
        ({"sparsity": 0.0}, "above 0", "removes 80 %"),
        ({"sparsity": float("nan")}, "not nan", "removes 80 %"),
        ({"threshold": -0.1}, "makes no sense with --threshold-mode", "from 0 on"),
        ({"threshold": float("inf")}, "makes no sense with --threshold-mode", "from 0 on"),
        ({"threshold": 1.0, "threshold_mode": "quantile"}, "makes no sense with --threshold-mode", "from 0 to below 1"),
        ({"sparsity": 0.5, "threshold_mode": "std"}, "--threshold-mode has no effect", "--threshold T"),
        ({"nm": "4:2"}, "no pattern N:M", "2:4"),
        ({"threshold": 0.1, "criterion": "fisher", "data": "x.npz"}, "compared with |w|", "--sparsity"),
        ({"threshold": 0.1, "scope": "layer"}, "--scope has no effect", "leave it out"),
        ({"sparsity": 0.5, "criterion": "lamp", "scope": "layer"}, "lamp cannot be compared", "--scope global"),
        ({"sparsity": 0.5, "criterion": "taylor"}, "taylor needs data", "--data"),
        ({"sensitivity": True}, "needs data", "--data or --eval-data"),
        ({"sensitivity": True, "data": "x.npz", "finetune": 3}, "--finetune has no effect", "--sparsity"),
        ({"sensitivity": True, "data": "x.npz", "output": "o.keras"}, "-o o.keras has no effect", "--sparsity"),
        ({"sparsity": 0.5, "schedule": "cubic"}, "--schedule cubic has no effect without --finetune", "EPOCHS"),
        ({"sparsity": 0.5, "lr": 0.1, "resume": True}, "--lr, --resume has no effect", "EPOCHS"),
        ({"sparsity": 0.5, "finetune": 3}, "--finetune needs data", "--data"),
        ({"sparsity": 0.5, "recalibrate_bn": True}, "--recalibrate-bn needs data", "--data"),
        ({"sparsity": 0.5, "finetune": 3, "data": "x.npz", "lr": 0.0}, "learning rate of 0", "above 0"),
        ({"sparsity": 0.5, "finetune": 3, "data": "x.npz", "steps": 2}, "--steps has no effect", "cubic"),
        ({"nm": "2:4", "finetune": 3, "data": "x.npz", "schedule": "cubic"}, "grows a sparsity", "--sparsity"),
        (
            {"sparsity": 0.5, "finetune": 3, "data": "x.npz", "schedule": "cubic", "steps": 3},
            "3 steps of the schedule, 3 epochs: none is left",
            "--finetune 4",
        ),
        (
            {"sparsity": 0.5, "finetune": 1, "data": "x.npz", "schedule": "linear"},
            "1 step of the schedule, 1 epoch: none",
            "--finetune 2",
        ),
        ({"sparsity": 0.5, "criterion": "best"}, "unknown criterion 'best'", "magnitude"),
        ({"sparsity": 0.5, "samples": 0}, "samples must be at least 1", ""),
    ],
)
def test_wishes_that_do_not_go_together(asked: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        wishes(**asked)
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_what_follows_from_wishes() -> None:
    assert wishes(sparsity=0.5).compared_in == "global"
    assert wishes(sparsity=0.5, criterion="wanda", data="x.npz").compared_in == "output"
    assert wishes(threshold=0.5).compared_in is None
    trained = wishes(sparsity=0.5, finetune=7, data="x.npz", schedule="cubic")
    assert (trained.stages, wishes(nm="2:4").stages) == (3, 1)
    only = wishes(sensitivity=True, data="x.npz")
    assert (only.removes, only.writes) == (False, False)
    assert not wishes(sparsity=0.5, dry_run=True).writes
    assert wishes(sensitivity=True, data="synthetic.npz").sensitivity  # a name like any other


def test_contradictions_are_told_before_tensorflow_is_loaded(tmp_path: Any) -> None:
    (tmp_path / "m.keras").write_bytes(b"no zip")
    said = tfopt("prune", "m.keras", "--sparsity", "80", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "error: the sparsity must be above 0 and below 1, not 80\nhelp:  did you mean 0.8?\n"
