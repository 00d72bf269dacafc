"""The facts of all models, held against their budgets; and those that tell in which layers another gate failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as with_fields

from tfopt.checks.budgets import budget_gates, layer_changes
from tfopt.checks.checking import Checking
from tfopt.checks.closer import argument, closer
from tfopt.checks.facts import facts_of
from tfopt.checks.failure import Failure
from tfopt.checks.lock import Reference, locked
from tfopt.checks.subjects import Subject
from tfopt.records.check import Gate, GateKind, LayerChange
from tfopt.records.fact_kinds import FACTS, LIMITS, facts_for
from tfopt.records.facts import Environment, Lock, ModelFacts
from tfopt.report.progress import ProgressCallback
from tfopt.workload.workers.contestant import Contestant

__all__ = ["count", "explain", "limits_of"]

# Where nobody set a budget: no cheap fact gets worse by more than this part.
_UNSET = {limit.key: 0.01 for limit in LIMITS.values() if limit.relative and not limit.fact.costly}
# What may explain that numbers or times changed: the first of these that did, layer by layer.
_EXPLAINING: dict[GateKind, tuple[str, ...]] = {
    "accuracy": ("params", "sparsity", "half_share"),
    "timing": ("step_flops", "forward_flops", "params"),
}


def limits_of(subject: Subject, lock: Lock | None, *, update: bool) -> Mapping[str, Any]:
    """A model's budgets; of one without any that has something to be compared with, those on every cheap fact."""
    compared = update or subject.baseline is not None or (lock is not None and subject.label in lock.models)
    return subject.budgets or (_UNSET if compared else {})


def count(
    checkings: Sequence[Checking],
    lock: Lock | None,
    here: Environment,
    *,
    update: bool,
    seconds: float,
    progress: ProgressCallback,
) -> None:
    """Find the facts of each model and hold them against its budgets: relative ones against the lock, or where that
    does not have it, against the baseline. With `update` they are about to be accepted, and new. A baseline of several
    models is looked at once. KeyboardInterrupt leaves the models that were held against their budgets until then."""
    limits = {checking.subject.label: limits_of(checking.subject, lock, update=update) for checking in checkings}
    asked: dict[tuple[Contestant, tuple[str, ...]], list[Contestant]] = {}
    sides = {checking.subject.label: _sides(checking.subject, lock, update=update) for checking in checkings}
    for label, looked_at in sides.items():
        for side in looked_at:
            asked.setdefault((replace(side, label=""), facts_for(limits[label])), []).append(side)
    first = [same[0] for same in asked.values()]
    names = {same[0].label: facts for (_, facts), same in asked.items()}
    of_first: dict[str, ModelFacts | Failure] = {}
    try:
        facts_of(first, names, seconds, progress, of_first)
    finally:
        found = {side.label: of_first.get(same[0].label) for same in asked.values() for side in same}
        for checking in checkings:
            label = checking.subject.label
            facts, *of_baseline = (found[side.label] for side in sides[label])
            if facts is not None and None not in of_baseline:
                reference = None if update else locked(lock, label, here)
                _judge(checking, limits[label], facts, next(iter(of_baseline), None), reference)


def _sides(subject: Subject, lock: Lock | None, *, update: bool) -> tuple[Contestant, ...]:
    """What is looked at: the candidate, and its baseline where nothing was accepted."""
    known = update or (lock is not None and subject.label in lock.models)
    return (subject.candidate,) if known or subject.baseline is None else (subject.candidate, subject.baseline)


def _judge(
    checking: Checking,
    limits: Mapping[str, Any],
    facts: ModelFacts | Failure,
    of_baseline: ModelFacts | Failure | None,
    reference: Reference | None,
) -> None:
    if isinstance(of_baseline, Failure):
        checking.failed("budget", replace(of_baseline, message=f"the baseline: {of_baseline.message}"))
    if isinstance(facts, Failure):
        checking.failed("budget", facts)
        return
    checking.facts = facts
    if isinstance(of_baseline, ModelFacts):
        checking.baseline_facts, reference = of_baseline, Reference(of_baseline, "the baseline")
    asked_for = limits if checking.subject.budgets else _existing(facts, reference)
    checking.gates += budget_gates(checking.subject.candidate, facts, asked_for, reference)
    checking.left.discard("budget")


def _existing(facts: ModelFacts, reference: Reference | None) -> Mapping[str, float]:
    """The limits that nobody set, without those on facts that neither side has: `app:NAME` has no file."""
    known = facts.values.keys() | (reference.facts.values.keys() if reference is not None else set())
    return {key: limit for key, limit in _UNSET.items() if LIMITS[key].fact.name in known}


def explain(checking: Checking, seconds: float, progress: ProgressCallback) -> None:
    """Add to each gate that failed against the baseline in which layers the two differ, and what looks closer. Facts
    that nobody has found yet take at most these seconds; without any the layers stay unsaid."""
    subject = checking.subject
    if subject.baseline is None or not any(map(_against_baseline, checking.gates)):
        return
    known = {subject.label: checking.facts, subject.baseline.label: checking.baseline_facts}
    missing = [side for side in (subject.candidate, subject.baseline) if known[side.label] is None and seconds > 0]
    for label, facts in facts_of(missing, {side.label: facts_for(()) for side in missing}, seconds, progress).items():
        known[label] = facts if isinstance(facts, ModelFacts) else None
    checking.facts, checking.baseline_facts = known.values()
    checking.gates = [_explained(checking, gate) if _against_baseline(gate) else gate for gate in checking.gates]


def _against_baseline(gate: Gate) -> bool:
    return gate.kind in _EXPLAINING and gate.verdict == "FAIL"


def _explained(checking: Checking, gate: Gate) -> Gate:
    facts, before = checking.facts, checking.baseline_facts
    found: tuple[str, tuple[LayerChange, ...]] = ("", ())
    if facts is not None and before is not None:
        changes = ((name, layer_changes(facts, before, FACTS[name])) for name in _EXPLAINING[gate.kind])
        found = next((change for change in changes if change[1]), found)
    return with_fields(gate, layers_fact=found[0], layers=found[1], look_closer=_comparison(checking.subject))


def _comparison(subject: Subject) -> str:
    """The command that compares both in full; it has other words for some of the options."""
    assert subject.baseline is not None
    options = subject.baseline.options
    plain = replace(subject.baseline, options=replace(options, batch_size=None, xla=None))
    if not subject.candidate.model.isprintable():
        return ""
    words = [argument(subject.candidate.model)]
    words += ["--batch-sizes", str(options.batch_size)] if options.batch_size else []
    return closer(plain, "compare", *words, *(["--variants", "xla"] if options.xla else []))
