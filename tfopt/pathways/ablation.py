"""What a score is worth on a model: units that it calls weak or strong are set to zero, and the loss is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from tfopt.errors import UsageError
from tfopt.pathways.samples import samples_of
from tfopt.pathways.switches import Level, Measured, Switched
from tfopt.pathways.unit_scores import Subject, scored
from tfopt.records.ablation import (
    AblationReport,
    AblationRow,
    AblationVerdict,
    Ranking,
)
from tfopt.records.base import finite
from tfopt.wording import counted
from tfopt.workload.targets import loss_name

__all__ = ["ablate", "judged"]

_Chosen = Literal["weakest", "strongest", "random"]
_SHUFFLES = 9
_PLURALS = {"unit": "units", "branch": "branches"}


def ablate(
    model: Any,
    x: Any,
    y: Any,
    *,
    count: int = 10,
    scores: Sequence[str] = ("path",),
    level: Level = "unit",
    draws: int = 9,
    seed: int = 0,
    loss: Any = None,
    batch_size: int = 256,
) -> AblationReport:
    """Set the `count` weakest and the `count` strongest units by each score to zero, and as many random ones, and
    measure the loss: whether the score ranks units better than chance does.

    A unit is an output channel of a Dense, convolutional or recurrent layer that is called by the model itself (not
    within attention or a wrapper); those that are the model's outputs stay. Off means that what the unit hands on is
    zero: its output times 0, and the same channel of the BatchNormalization, activation or pooling that follow it,
    without which an offset would remain. Behind a merge, or a normalisation across channels, its zero is taken like any
    number. A branch is an edge into an Add, Average or Concatenate. The model computes as in inference, in its own
    precision; nothing of it is changed.

    Args:
        model: a built, trained Keras model.
        x: inputs, as the model takes them: a structure of arrays with samples first.
        y: true targets, as the loss takes them. With random ones there is no verdict: they say nothing about any score.
        count: how many to set to zero, at most half of all.
        scores: names in `unit_scores.SCORES`.
        level: `unit` or `branch`.
        draws: how many random sets.
        seed: of the random sets, and of the order of equal scores.
        loss: as `keras.Model.compile` takes it; by default the model's own.
        batch_size: of one pass.

    Raises:
        UsageError: there are too few units, no targets, or no such score for this level.
        InputError: the samples do not fit the model or each other.
    """
    samples = samples_of(model, x, y, batch_size=batch_size)
    switched = Switched(model, samples, level=level, loss=loss)
    candidates = switched.candidates
    _check(count, draws, len(candidates), level)
    subject = Subject(model, samples, loss, level, switched.switches, seed)
    orders = {name: _ranked(candidates, scored(name, subject), seed) for name in scores}
    intact, metric = switched.without(), loss_name(switched.metric)
    rng = np.random.default_rng(seed)
    random = [switched.without(rng.choice(candidates, count, replace=False)) for _ in range(draws)]
    warning = _warning(switched, intact, rng)
    at_random = _row("random", "random", count, intact, random)
    rows: list[AblationRow] = []
    verdicts: list[AblationVerdict] = []
    for name, order in orders.items():
        sets: dict[_Chosen, np.ndarray] = {"weakest": order[:count], "strongest": order[-count:]}
        pair = {chosen: [switched.without(positions)] for chosen, positions in sets.items()}
        mine = [_row(chosen, name, count, intact, pair[chosen], _layers(switched, sets[chosen])) for chosen in sets]
        rows += mine
        low, high = (pair[chosen][0].loss for chosen in sets)
        ranking: Ranking = "unknown" if warning else judged(low, high, [each.loss for each in random])
        verdicts.append(
            AblationVerdict(score=name, ranking=ranking, sentence=_sentence(name, ranking, mine, at_random))
        )
    return AblationReport(
        metric=metric,
        samples=samples.count,
        intact=finite(intact.loss),
        rows=(*rows, at_random),
        verdict=" ".join(verdict.sentence for verdict in verdicts),
        level=level,
        candidates=len(candidates),
        intact_accuracy=intact.accuracy,
        verdicts=tuple(verdicts),
        warning=warning,
    )


def judged(weakest: float, strongest: float, random: Sequence[float]) -> Ranking:
    """What losses say about a score: better if the weakest cost the least of all sets and the strongest the most.

    Random numbers for scores are called better about once in (draws + 1) · (draws + 2) times where the sets are few of
    many units, and once in 2 · (draws + 1) times where they are all of them between them: 110 and 20 for 9 draws.
    """
    if not np.isfinite([weakest, strongest, *random]).all():
        return "unknown"
    if weakest < min(random) and strongest > max(random):
        return "better"
    return "backwards" if weakest > max(random) and strongest < min(random) else "no better"


def _check(count: int, draws: int, candidates: int, level: Level) -> None:
    if draws < 2:
        raise UsageError(f"{counted(draws, 'random draw')} cannot vary", "draw at least 2")
    if candidates < 2:
        raise UsageError(
            f"the model has {candidates} {_PLURALS[level]} that could be set to zero and ranked",
            "its outputs are none of them; try the other level",
        )
    if not 1 <= count <= candidates // 2:
        raise UsageError(
            f"{count} of {candidates} {_PLURALS[level]} cannot be both the weakest and the strongest",
            f"choose between 1 and {candidates // 2}",
        )


def _ranked(candidates: np.ndarray, scores: np.ndarray, seed: int) -> np.ndarray:
    """Candidates from the weakest to the strongest; equal ones at random, else the order of layers would count."""
    shuffled = np.random.default_rng(seed).permutation(candidates)
    return shuffled[np.argsort(scores[shuffled], kind="stable")]


def _layers(switched: Switched, positions: Iterable[int]) -> tuple[tuple[str, int], ...]:
    starts = [switch.start for switch in switched.switches]
    found = np.searchsorted(starts, list(positions), side="right") - 1
    return tuple(Counter(switched.switches[number].path for number in found).most_common())


def _row(
    chosen: _Chosen,
    score: str,
    count: int,
    intact: Measured,
    measured: Sequence[Measured],
    layers: tuple[tuple[str, int], ...] = (),
) -> AblationRow:
    loss = np.array([each.loss for each in measured])
    several = len(measured) > 1
    row = AblationRow(
        chosen=chosen,
        score=score,
        units=count,
        metric=finite(loss.mean()),
        change=finite(loss.mean() - intact.loss),
        deviation=finite(loss.std(ddof=1)) if several else None,
        draws=len(measured),
        layers=layers,
    )
    right = [each.accuracy for each in measured if each.accuracy is not None]
    if intact.accuracy is None or not right:
        return row
    return msgspec.structs.replace(
        row,
        accuracy=float(np.mean(right)),
        accuracy_change=float(np.mean(right) - intact.accuracy),
        accuracy_deviation=float(np.std(right, ddof=1)) if several else None,
    )


_SAID: dict[Ranking, str] = {
    "better": "the {} score ranks well here",
    "no better": "the {} score is no better than random here",
    "backwards": "the {} score ranks backwards here, worse than random",
    "unknown": "what the {} score is worth cannot be told from this",
}


def _sentence(score: str, ranking: Ranking, pair: Sequence[AblationRow], random: AblationRow) -> str:
    weakest, strongest = map(_cost, pair)
    return (
        f"The weakest {random.units} cost {weakest}, random ones {_cost(random)}, the strongest {strongest}:"
        f" {_SAID[ranking].format(score)}."
    )


def _cost(row: AblationRow) -> str:
    """`+0.31 ± 0.12 of loss (4.1 ± 1.2 points of accuracy)`."""
    if row.change is None:
        return "a loss that is no number"
    of_loss = f"{row.change:+.2g}" + ("" if row.deviation is None else f" ± {row.deviation:.2g}")
    if row.accuracy_change is None:
        return f"{of_loss} of loss"
    points = f"{-100 * row.accuracy_change + 0.0:.1f}"
    points += "" if row.accuracy_deviation is None else f" ± {100 * row.accuracy_deviation:.1f}"
    return f"{of_loss} of loss ({points} points of accuracy)"


def _warning(switched: Switched, intact: Measured, rng: np.random.Generator) -> str:
    """Whether the model does no better on these samples than with their targets shuffled (by three deviations)."""
    orders = [rng.permutation(switched.samples.count) for _ in range(_SHUFFLES)]
    shuffled = np.array([switched.shuffled(order).loss for order in orders])
    mean, deviation = shuffled.mean(), shuffled.std(ddof=1)
    if intact.loss < mean - 3 * deviation:
        return ""
    return (
        f"the loss is {intact.loss:.3g}, and with shuffled targets {mean:.3g} ± {deviation:.2g}: the model knows"
        " nothing of these samples, and that units can be spared says nothing about them"
    )
