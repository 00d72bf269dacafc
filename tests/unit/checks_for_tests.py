"""Records of checks for tests: one that passes, one in which everything goes wrong, and one whose names mean harm."""

from __future__ import annotations

import msgspec
from records_for_tests import HOSTILE

from tfopt.records.base import Note
from tfopt.records.check import CheckRecord, CheckRun, Gate, LayerChange, ModelCheck
from tfopt.records.duel import DuelResult, Interval
from tfopt.records.facts import Environment, ModelFacts

__all__ = ["CHECKS", "MEANT", "passed"]

# What ends a section, a tag, a command or a line where it is not escaped; and what XML cannot hold at all.
MEANT = (
    *HOSTILE.values(),
    "]]>",
    "::error::x",
    "%0A::warning::",
    "a\n::error title=x::y",
    "##[error]x",
    "<script>",
    "\x00\ufffe\ud800",
)

RUN = CheckRun(
    config="configs/check.toml",
    lock="tfopt.lock.json",
    updated=False,
    strict=False,
    environment=Environment(tensorflow="2.21.0", keras="3.15.1", cpu="A CPU with 8 cores"),
    max_seconds=300.0,
    seconds=41.25,
    cpu_seconds=66.5,
    seed=0,
    threads=2,
    command="tfopt check --config configs/check.toml",
    started_at="2026-11-21T15:00:00+01:00",
    tfopt="0.1.0",
    python="3.11.9",
)


_KILLED = "the process was ended by signal 9 (Killed; memory may have run out)"


def _duel(verdict: str, ratio: float) -> DuelResult:
    interval = Interval(ratio=ratio, low=ratio - 0.011, high=ratio + 0.011, processes=4, pairs=48)
    fields = {"label": "candidate", "baseline": "baseline", "verdict": verdict, "clock": "cpu", "tolerance": 0.05}
    return msgspec.convert({**fields, "wall": interval, "cpu": interval, "resolvable": 0.061}, DuelResult)


def passed() -> CheckRecord:
    """One model, all gates passed, one of them by being better."""
    gates = (
        Gate(
            kind="budget",
            name="max_params",
            fact="params",
            verdict="PASS",
            value=47674.0,
            limit=50000.0,
            message="47 674 params of 50 000 allowed",
        ),
        Gate(
            kind="budget",
            name="min_sparsity",
            fact="sparsity",
            verdict="PASS",
            unit="share",
            value=0.8,
            limit=0.75,
            message="80.0 % of the weights are zero, 75.0 % are wanted",
        ),
        Gate(
            kind="timing",
            name="tolerance",
            fact="cpu_time",
            verdict="IMPROVED",
            unit="ratio",
            value=0.871,
            limit=1.05,
            message="12.9 % less CPU time",
        ),
    )
    model = ModelCheck(
        label="digits",
        model="digits.keras",
        baseline="dense.keras",
        gates=gates,
        exit_code=0,
        duel=_duel("FASTER", 0.871),
        self_test=_duel("SAME", 1.002),
    )
    return CheckRecord(run=RUN, exit_code=0, models=(model,))


def failed() -> CheckRecord:
    """A wider layer, a metric that no sample backs, an undecided time; one model crashed, one is no model."""
    layers = tuple(
        LayerChange(path=f"net/conv_{number}", type="Conv2D", before=before, after=after)
        for number, (before, after) in enumerate([(9248, 37000), (None, 512), (640, None), (10, 20), (11, 12)])
    )
    look = "tfopt inspect wide.keras"
    gates = (
        Gate(
            kind="budget",
            name="max_params_increase",
            fact="params",
            verdict="FAIL",
            layers=layers,
            value=75426.0,
            limit=47674.0,
            reference=47674.0,
            look_closer=look,
            message="27 752 params more than the lock, none allowed",
        ),
        Gate(
            kind="budget",
            name="max_step_flops",
            fact="step_flops",
            verdict="PASS",
            unit="FLOPs",
            value=12.5e6,
            limit=1e8,
            message="12.5 M FLOPs of 100 M allowed",
        ),
        Gate(
            kind="budget",
            name="fusions",
            fact="fusions",
            verdict="NEW",
            value=12.0,
            limit=None,
            message="fusions: 12; the lock has it from another environment",
        ),
        Gate(
            kind="budget",
            name="peak_bytes",
            fact="peak_bytes",
            verdict="NEW",
            unit="bytes",
            value=5.5e6,
            limit=None,
            message="peak_bytes: 5,500,000 bytes; the lock has it from another environment",
        ),
        Gate(
            kind="accuracy",
            name="max_drop",
            fact="accuracy",
            verdict="ERROR",
            value=None,
            limit=0.01,
            unit="share",
            message="no sample was evaluated, so nothing is known",
        ),
        Gate(
            kind="timing",
            name="tolerance",
            fact="cpu_time",
            verdict="INCONCLUSIVE",
            unit="ratio",
            value=1.041,
            limit=1.05,
            message="between 1.2 % less and 9.6 % more CPU time",
            look_closer="tfopt compare dense.keras wide.keras",
        ),
    )
    models = (
        ModelCheck(
            label="wide.keras",
            model="models/wide.keras",
            baseline="dense.keras",
            gates=gates,
            exit_code=1,
            duel=_duel("INCONCLUSIVE", 1.041),
            facts=ModelFacts(values={"params": 75426.0}, dtypes={}, cost_s={"fusions": 3.1, "peak_bytes": 0.25}),
            baseline_facts=ModelFacts(values={"params": 47674.0}, dtypes={}, cost_s={"fusions": 2.0}),
            notes=(Note(message="16 examples, drawn"),),
        ),
        ModelCheck(
            label="boom.keras",
            model="boom.keras",
            baseline=None,
            gates=(
                Gate(kind="timing", name="timing", fact="", verdict="ERROR", value=None, limit=None, message=_KILLED),
            ),
            exit_code=4,
            ending="crashed",
            failure=_KILLED,
            hint="tfopt inspect boom.keras --memory-limit 8GiB",
        ),
        ModelCheck(
            label="none.keras",
            model="none.keras",
            baseline=None,
            gates=(),
            exit_code=3,
            ending="unreadable",
            failure="none.keras does not exist",
            hint="check the path",
        ),
    )
    return CheckRecord(run=RUN, exit_code=4, models=models)


def hostile() -> CheckRecord:
    """Every text that a file or a person gives is one that means harm."""
    gates = tuple(
        Gate(
            kind="budget",
            name="max_params",
            fact="params",
            verdict="FAIL",
            value=2.0,
            limit=1.0,
            message=f"{name} grew",
            look_closer=f"tfopt inspect '{name}'",
            layers=(LayerChange(path=name, type=name, before=1.0, after=2.0),),
        )
        for name in MEANT
    )
    models = (
        *(
            ModelCheck(label=name, model=name, baseline=name, gates=gates[:2], exit_code=1, notes=(Note(message=name),))
            for name in MEANT
        ),
        ModelCheck(
            label="it",
            model=MEANT[0],
            baseline=None,
            gates=gates,
            exit_code=4,
            ending="hung",
            failure=MEANT[-3],
            hint=MEANT[-2],
        ),
    )
    run = msgspec.structs.replace(RUN, config=MEANT[0], lock=MEANT[1], command=MEANT[-3])
    return CheckRecord(run=run, exit_code=4, models=models, notes=(Note(message=MEANT[-2], hint=MEANT[-3]),))


CHECKS = {"check-passed": passed, "check-failed": failed, "check-hostile": hostile}
