"""One model while it is checked: what was found of it so far, and what that ends the command with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tfopt.checks.facts import Failure
from tfopt.checks.subjects import Subject
from tfopt.records.base import Note
from tfopt.records.check import Gate, GateKind, ModelCheck
from tfopt.records.comparison import Drift
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.records.facts import ModelFacts

__all__ = ["Checking", "Failure", "worst"]

_ORDER = (4, 3, 1, 5)
_CODES = {"FAIL": 1, "ERROR": 4}
_STRICT = {**_CODES, "INCONCLUSIVE": 5}


def worst(codes: Iterable[int]) -> int:
    """The exit code of several: 4 before 3, 1 and 5."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), 0)


@dataclass
class Checking:
    """What is known of one subject."""

    subject: Subject
    gates: list[Gate] = field(default_factory=list)
    failure: Failure | None = None
    facts: ModelFacts | None = None
    baseline_facts: ModelFacts | None = None
    drift: Drift | None = None
    duel: DuelResult | None = None
    timings: tuple[ArmTiming, ...] = ()
    self_test: DuelResult | None = None
    notes: list[Note] = field(default_factory=list)

    def failed(self, kind: GateKind, failure: Failure) -> None:
        """Nothing can be said of gates of this kind."""
        self.failure = self.failure or failure
        self.gates.append(
            Gate(kind=kind, name=kind, fact="", verdict="ERROR", value=None, limit=None, message=failure.message)
        )

    def record(self, *, strict: bool) -> ModelCheck:
        """All that was found."""
        failure = self.failure
        return ModelCheck(
            label=self.subject.label,
            model=self.subject.candidate.model,
            baseline=None if self.subject.baseline is None else self.subject.baseline.model,
            gates=tuple(self.gates),
            failure=failure.message if failure else "",
            hint=failure.hint if failure else "",
            ending=failure.ending if failure else "",
            exit_code=self._exit_code(strict=strict),
            facts=self.facts,
            baseline_facts=self.baseline_facts,
            drift=self.drift,
            duel=self.duel,
            timings=self.timings,
            self_test=self.self_test,
            notes=tuple(self.notes),
        )

    def _exit_code(self, *, strict: bool) -> int:
        codes = dict(_STRICT if strict else _CODES)
        if self.failure is not None:
            codes["ERROR"] = self.failure.exit_code
        return worst(codes.get(gate.verdict, 0) for gate in self.gates)
