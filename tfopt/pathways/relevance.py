"""Contributions on data: which part of a result came through each layer, unit and edge, and which part was added.

With each function as a slope and a bias a model is, at a sample, linear in its input and its biases; input × gradient
then adds up to the result (layer-wise relevance as modified gradients: Ancona et al., arXiv:1711.06104; frozen softmax
and denominators: Ali et al., arXiv:2202.07304). The gradients are those of the mean over samples of result / (result,
as a constant), so that every sum is a mean over samples of contribution / result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.errors import RunFailed
from tfopt.pathways.certificates import constants, relevance_certificates, sourceless, starting
from tfopt.pathways.lowering import Lowered, why_float32
from tfopt.pathways.plan import Plan
from tfopt.pathways.samples import Samples, samples_of
from tfopt.pathways.sums import Sums
from tfopt.pathways.surrogate import Surrogate
from tfopt.pathways.tables import edge_shares, layer_rules, unit_shares
from tfopt.pathways.targets import Target, chosen_output, result_of, said
from tfopt.records.influence import LayerContribution, RelevanceReport
from tfopt.wording import counted
from tfopt.workload.failures import explained

__all__ = ["contributions", "relevance"]

_ADDITIVE = (
    "total", "flows", "magnitudes", "inputs", "input_magnitudes", "variables", "added_by_node", "biases", "by_rules",
    "by_rules_magnitude",
)  # fmt: skip


def relevance(
    model: Any,
    x: Any,
    *,
    target: Target = "predicted",
    output: str | int | None = None,
    batch_size: int = 32,
    dtype: str = "float64",
) -> RelevanceReport:
    """Signed contributions to a result, each the mean over samples of contribution / result.

    Nothing of the model is changed; it runs in inference mode. What holds for which layer is in the report's `rules`.

    Args:
        model: a built Keras model.
        x: samples with the batch first; a list or dict of arrays for several inputs.
        target: `predicted` (each sample's predicted class), `margin` (its logit less the mean of the others, which does
            not change when all logits are shifted) or the number of a class. Logits are what a last softmax or sigmoid
            is given; with several positions, the result is the mean over them; of a single unit, it is the output.
        output: the name or number of one of several outputs; the first where nothing is said.
        batch_size: samples per pass, a matter of memory alone.
        dtype: `float64` (`float32` where a layer computes in that whatever it is told: `dtype_reason` says so), or
            `float32`, which is faster and good to 1e-4.

    Raises:
        UsageError: there is no such target, output or dtype; the model is not built.
        InputError: this is no Keras model; there are no samples, or they do not fit the model.
        RunFailed: the model does not run on the samples, or gives no result that is finite and not zero.
    """
    plan = Plan(free=False, dtype=dtype)
    samples = samples_of(model, x, batch_size=batch_size)
    with explained("running the model on the samples"):
        number, name = chosen_output(model, samples.taken(np.arange(1))[0], output)
        surrogate, passes, reason = _computed(model, plan, number, target, samples)
    results = np.concatenate([each.told["results"] for each in passes])
    sums = _mean(passes, len(results))
    words = said(target, int(passes[0].told["units"]))
    return _report(surrogate, sums, results, samples.count, words, name, reason)


def _computed(
    model: Any, plan: Plan, output: int, target: Target, samples: Samples
) -> tuple[Surrogate, list[Sums], str]:
    """All passes, and why they are not in the dtype asked for (empty where they are)."""
    surrogate = contributions(model, plan, output, target)
    try:
        return surrogate, list(_passes(surrogate, samples)), ""
    except (Lowered, tf.errors.OpError) as error:
        reason = why_float32(error, plan.dtype)
        if not reason:
            raise
    return *_computed(model, replace(plan, dtype="float32"), output, target, samples)[:2], reason


def contributions(model: Any, plan: Plan, output: int = 0, target: Target = "predicted") -> Surrogate:
    """What is run on a batch and what each of its samples counts; gives sums over samples of contribution / result."""
    return Surrogate(model, plan, _Objective(output, target), arrays=True, weights=False)


class _Objective:
    """Σ over samples of result / (result, as a constant)."""

    def __init__(self, number: int, target: Target) -> None:
        self._number, self._target = number, target

    def __call__(self, outputs: Sequence[Any], weights: Any) -> tuple[Any, dict[str, Any]]:
        logits = outputs[self._number]
        results = result_of(logits, self._target)
        sound = tf.math.is_finite(results) & (results != 0)
        ratios = results / tf.stop_gradient(tf.where(sound, results, tf.ones_like(results)))
        counted = tf.where(sound, tf.cast(weights, ratios.dtype) * ratios, tf.zeros_like(ratios))
        units = tf.shape(logits)[-1] if len(logits.shape) > 1 else tf.constant(1)
        return tf.reduce_sum(counted), {"results": results, "units": units}


def _passes(surrogate: Surrogate, samples: Samples) -> Iterator[Sums]:
    """One pass per batch, without samples whose result is zero or not finite; `told` has the others' results."""
    nothing: Sums | None = None
    found = False
    for numbers in samples.batches():
        sums, results = _pass(surrogate, samples, numbers)
        sound = np.isfinite(results) & (results != 0)
        if not sound.any():
            nothing = sums
            continue
        if not np.isfinite(results).all():  # their gradients are in all sums
            sums, results = _pass(surrogate, samples, numbers[sound])
            sound = np.isfinite(results)
        found = True
        yield replace(sums, told={**sums.told, "results": results[sound]})
    if not found and nothing is not None:
        layer = _not_finite(nothing)
        where = f": the first values that are not finite come from {layer}" if layer else ""
        raise RunFailed(
            f"the results of {counted(samples.count, 'sample')} are zero or not finite{where}",
            "a share of such a result says nothing: check the weights and the data, or choose another target",
        )


def _pass(surrogate: Surrogate, samples: Samples, numbers: np.ndarray) -> tuple[Sums, np.ndarray]:
    x, weights = samples.taken(numbers)
    sums = surrogate.run(x, weights)
    return sums, sums.told["results"][: len(numbers)]


def _not_finite(sums: Sums) -> str | None:
    return next((node.path for node in sums.nodes if not math.isfinite(sums.flows[node.index])), None)


def _mean(passes: Sequence[Sums], count: int) -> Sums:
    """The sums of all passes, per sample."""

    def mean(values: Sequence[Any]) -> Any:
        return sum(values[1:], values[0]) / count

    first = passes[0]
    return replace(
        first,
        **{name: mean([getattr(each, name) for each in passes]) for name in _ADDITIVE},
        edges=tuple(
            replace(
                same[0], value=mean([edge.value for edge in same]), magnitude=mean([edge.magnitude for edge in same])
            )
            for same in zip(*(each.edges for each in passes), strict=True)
        ),
        units={node: mean([each.units[node] for each in passes]) for node in first.units},
        arrays=tuple(mean(same) for same in zip(*(each.arrays for each in passes), strict=True)),
        told={},
    )


@dataclass(frozen=True)
class _Balance:
    """What a result is made of, relative to it."""

    inputs: float
    biases: float
    magnitude: float

    @property
    def unattributed(self) -> float:
        return 1 - self.inputs - self.biases


def _balance(surrogate: Surrogate, sums: Sums) -> _Balance:
    offsets = [
        array
        for number, array in zip(surrogate.chosen, sums.arrays, strict=True)
        if surrogate.weights[number].role == "offset" or sums.added[number]
    ]
    in_loops = sums.biases - sums.by_rules - sum(float(array.sum()) for array in offsets)
    magnitude = (
        sums.input_magnitudes.sum()
        + sums.magnitudes[sourceless(sums)].sum()
        + sum(edge.magnitude for edge in constants(sums))
        + sum(float(np.abs(array).sum()) for array in offsets)
        + sums.by_rules_magnitude
        + abs(in_loops)
    )
    return _Balance(starting(sums), float(sums.biases), float(magnitude))


def _report(
    surrogate: Surrogate, sums: Sums, results: np.ndarray, given: int, target: str, output: str, reason: str
) -> RelevanceReport:
    balance = _balance(surrogate, sums)
    if not math.isfinite(balance.unattributed + balance.magnitude):
        raise RunFailed(
            f"contributions are not finite from {_not_finite(sums)} on", "tfopt.health says where values are too large"
        )
    share = balance.unattributed / balance.magnitude if balance.magnitude else balance.unattributed
    certificates = relevance_certificates(sums, surrogate.plan, share)
    return RelevanceReport(
        target=target,
        samples=len(results),
        left_out=given - len(results),
        result_mean=float(results.mean()),
        inputs=balance.inputs,
        biases=balance.biases,
        unattributed=balance.unattributed,
        unattributed_share=share,
        cancellation=balance.magnitude,
        consistent=all(certificate.met for certificate in certificates),
        certificates=certificates,
        rules=layer_rules(sums),
        layers=_layers(sums),
        units=unit_shares(sums),
        edges=edge_shares(sums),
        dtype=surrogate.plan.dtype,
        dtype_reason=reason,
        output=output,
        peak_bytes=surrogate.peak_bytes,
    )


def _layers(sums: Sums) -> tuple[LayerContribution, ...]:
    return tuple(
        LayerContribution(
            path=node.path,
            type=type(node.operation).__name__,
            call=node.call,
            share=float(sums.flows[node.index]),
            magnitude=float(sums.magnitudes[node.index]),
            bias=float(sums.added_by_node[node.index]),
        )
        for node in sums.nodes
    )
