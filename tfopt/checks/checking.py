"""One model while it is checked: what was found of it so far, and what that ends the command with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from tfopt.checks.failure import Failure
from tfopt.checks.subjects import Subject
from tfopt.records.base import Note
from tfopt.records.check import Gate, GateKind, ModelCheck
from tfopt.records.comparison import Drift
from tfopt.records.duel import ArmTiming, DuelResult
from tfopt.records.facts import ModelFacts

__all__ = ["Checking", "worst"]

_ORDER = (4, 3, 1, 5)
_CODES = {"FAIL": 1, "ERROR": 4}
_STRICT = {**_CODES, "INCONCLUSIVE": 5}


def worst(codes: Iterable[int]) -> int:
    """The exit code of several: 4 before 3, 1 and 5."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), 0)


@dataclass
class Checking:
    """What is known of one subject. `left` are the kinds of gates asked for that are not judged yet, `objects` names
    of model objects, by the temporary files that they are in."""

    subject: Subject
    left: set[GateKind]
    objects: Mapping[str, str] = field(default_factory=dict)
    gates: list[Gate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    facts: ModelFacts | None = None
    baseline_facts: ModelFacts | None = None
    drift: Drift | None = None
    duel: DuelResult | None = None
    timings: tuple[ArmTiming, ...] = ()
    self_test: DuelResult | None = None
    notes: list[Note] = field(default_factory=list)

    def failed(self, kind: GateKind, failure: Failure) -> None:
        """Nothing can be said of gates of this kind: one stands for them, of no fact."""
        self.left.discard(kind)
        self.failures.append(failure)
        self.gates.append(
            Gate(kind=kind, name=kind, fact="", verdict="ERROR", value=None, limit=None, message=failure.message)
        )

    def record(self, *, strict: bool) -> ModelCheck:
        """All that was found."""
        failure = next(iter(self.failures), None)
        baseline = self.subject.baseline
        return ModelCheck(
            label=self.subject.label,
            model=self._named(self.subject.candidate.model),
            baseline=None if baseline is None else self._named(baseline.model),
            gates=tuple(map(self._runnable, self.gates)),
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
        codes = _STRICT if strict else _CODES
        judged = (codes.get(gate.verdict, 0) for gate in self.gates if gate.fact)
        return worst((*judged, *(failure.exit_code for failure in self.failures)))

    def _named(self, model: str) -> str:
        return self.objects.get(model, model)

    def _runnable(self, gate: Gate) -> Gate:
        """Without a command that needs a file which is gone when somebody could run it."""
        gone = any(path in gate.look_closer for path in self.objects)
        return msgspec.structs.replace(gate, look_closer="") if gone else gate
