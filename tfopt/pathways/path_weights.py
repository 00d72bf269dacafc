"""Path weights: sums over all paths of the product of |w| along each, in one forward and one backward pass.

The total R is the output of the network with |w| in place of w, activations as the identity and nothing added, on an
input of ones (path norms: Neyshabur et al., arXiv:1503.00036; for modern networks Gonon et al., arXiv:2310.01225). The
sum over the paths *through* a weight is w · ∂R/∂w (SynFlow: Tanaka et al., arXiv:2006.05467), through an edge or a
unit its value times the gradient there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from msgspec import structs

from tfopt.errors import RunFailed, UsageError
from tfopt.model.inputs import input_specs, pack_inputs
from tfopt.pathways.certificates import path_certificates
from tfopt.pathways.groups import Group, group_share, members
from tfopt.pathways.lowering import Lowered, why_float32
from tfopt.pathways.models import check_model
from tfopt.pathways.plan import Biases, MaxPool, Plan
from tfopt.pathways.scales import Entangled
from tfopt.pathways.sums import Sums, Weight
from tfopt.pathways.surrogate import Surrogate
from tfopt.pathways.tables import edge_shares, layer_rules, unit_shares
from tfopt.records.influence import PathReport, StrongWeight, VariableShare
from tfopt.workload.batch import resolve_shapes
from tfopt.workload.failures import explained

__all__ = ["log10_total", "ones", "ones_of", "path_report", "path_scores", "path_sums", "path_weights"]


def path_weights(
    model: Any,
    *,
    groups: Mapping[str, Group] | None = None,
    maxpool: MaxPool = "sum",
    biases: Biases = "exclude",
    dtype: str = "float64",
    input_shape: Sequence[str] = (),
    top: int = 20,
) -> PathReport:
    """The path weights of a model: how much of all paths leads through each variable, unit, edge and group.

    Nothing of the model is changed, and no data is needed. What holds for which layer is in the report's `layers`; the
    certificates say whether the sums are exact for these rules.

    Args:
        model: a built Keras model.
        groups: by name, what belongs to a group: the report has the share of paths through any member.
        maxpool: `sum`: a path leads through each place that could win; `max`: through the winner on an input of ones.
        biases: `include` counts paths that start at a constant 1, through biases, as well.
        dtype: `float64` (`float32` where a layer computes in that whatever it is told: `dtype_reason` says so), or
            `float32`.
        input_shape: shapes without the batch for free dimensions (`"96,96,3"`, `"tokens=128"`).
        top: how many of the strongest weights to list (of kernels and embeddings; 0 for none).

    Raises:
        UsageError: a group matches nothing, or has the wrong shape; there is no such choice of `maxpool`, `biases`,
            `dtype` or `top`; the model is not built.
        InputError: this is no Keras model, or it does not say what input it takes.
        RunFailed: the model cannot be called on an input of ones.
    """
    if groups is not None and not isinstance(groups, Mapping):
        raise UsageError("groups have names", "give a dict, as in groups={'encoder': 'encoder/*'}")
    if top < 0:
        raise UsageError(f"{top} strongest weights cannot be listed", "give 0 or more")
    inputs = ones(model, input_shape)
    surrogate, whole, reason = path_sums(model, Plan(True, maxpool, biases, dtype), inputs, top=top)
    return structs.replace(
        path_report(surrogate, inputs, whole, reason),
        variables=tuple(_variables(surrogate.weights, whole)),
        strongest=_strongest(surrogate.weights, surrogate.chosen, whole, top),
        groups=tuple(
            group_share(surrogate, inputs, whole, name, members(surrogate.weights, name, group))
            for name, group in (groups or {}).items()
        ),
        peak_bytes=surrogate.peak_bytes,
    )


def path_report(surrogate: Surrogate, inputs: Any, whole: Sums, reason: str) -> PathReport:
    """What a pass says of layers, units and edges, and how sure that is; without single variables and groups. For what
    `path_sums` gives."""
    certificates = path_certificates(surrogate, inputs, whole)
    return PathReport(
        log10_total=log10_total(whole),
        consistent=all(certificate.met for certificate in certificates),
        certificates=certificates,
        layers=layer_rules(whole),
        variables=(),
        units=unit_shares(whole),
        edges=edge_shares(whole),
        strongest=(),
        maxpool=surrogate.plan.maxpool,
        biases=surrogate.plan.biases,
        dtype=surrogate.plan.dtype,
        dtype_reason=reason,
        normalised=surrogate.plan.normalised,
        peak_bytes=surrogate.peak_bytes,
    )


def path_scores(
    model: Any,
    *,
    maxpool: MaxPool = "sum",
    biases: Biases = "exclude",
    dtype: str = "float64",
    input_shape: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """For each variable that paths lead through, by path: an array of its shape with the share of all paths through
    each element, between 0 and 1 (more for an element that is used several times).

    Args:
        model, maxpool, biases, dtype, input_shape: see `path_weights`.

    Raises:
        InputError, UsageError: see `path_weights`.
        RunFailed: see `path_weights`; or the total is zero or not finite, so that no share can be told.
    """
    inputs = ones(model, input_shape)
    surrogate, whole, _ = path_sums(model, Plan(True, maxpool, biases, dtype), inputs, arrays=True)
    if not math.isfinite(whole.total) or whole.total <= 0:
        raise RunFailed(f"the total of all paths is {whole.total:g}", "the certificates of path_weights say more")
    return {
        surrogate.weights[number].path: array / whole.total
        for number, array in zip(surrogate.chosen, whole.arrays, strict=True)
        if whole.connected[number] and (surrogate.plan.constants or not is_offset(surrogate.weights, whole, number))
    }


def ones(model: Any, input_shape: Sequence[str] = ()) -> Any:
    """One example of ones, as a model takes it; zeros where its inputs are integers, whose rows are averaged."""
    check_model(model)
    specs = input_specs(model, input_shape=input_shape)
    shapes, _ = resolve_shapes(specs, 1, input_shape)
    return pack_inputs(model, [ones_of(spec.dtype, shapes[spec.name]) for spec in specs])


def ones_of(dtype: str, shape: Sequence[int]) -> Any:
    """Ones; zeros where they are integers, whose rows are averaged."""
    if dtype == "string":
        return tf.fill(shape, "")
    return tf.ones(shape, dtype) if keras.backend.is_float_dtype(dtype) else tf.zeros(shape, dtype)


def path_sums(
    model: Any, plan: Plan, inputs: Any, *, arrays: bool = False, top: int = 0, weights: bool = True
) -> tuple[Surrogate, Sums, str]:
    """The pass over `inputs`, and why it is not in the dtype asked for (empty where it is); normalised where Keras
    connects the layers, so that no depth is too much for the dtype. `weights`: as for `Surrogate`."""
    reason = ""
    attempt = replace(plan, normalised=not plan.constants)
    with explained("summing over paths"):
        while True:
            surrogate = Surrogate(model, attempt, _sum_of_outputs, arrays=arrays, top=top, weights=weights)
            try:
                return surrogate, surrogate.run(inputs), reason
            except Entangled:
                attempt = replace(attempt, normalised=False)
            except (Lowered, tf.errors.OpError) as error:
                reason = why_float32(error, attempt.dtype)
                if not reason:
                    raise
                attempt = replace(attempt, dtype="float32")


def _sum_of_outputs(outputs: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    return tf.add_n([tf.reduce_sum(output) for output in outputs]), {}


def log10_total(sums: Sums) -> float | None:
    """The logarithm of the sum over all paths; None where it is none."""
    positive = math.isfinite(sums.total) and sums.total > 0
    return math.log10(sums.total) + sums.log_scale / math.log(10) if positive else None


def _variables(weights: Sequence[Weight], sums: Sums) -> list[VariableShare]:
    rows = []
    for number, weight in enumerate(weights):
        offset = is_offset(weights, sums, number)
        if weight.role == "statistic":
            continue
        rows.append(
            VariableShare(
                path=weight.path,
                layer=weight.layer,
                shape=tuple(weight.variable.shape),
                share=_share(sums.variables[number], sums),
                calls=sum(_holds(node.operation, weight.variable) for node in sums.nodes),
                status="offset" if offset else "weight" if sums.connected[number] else "opaque",
            )
        )
    return rows


def is_offset(weights: Sequence[Weight], sums: Sums, number: int) -> bool:
    """Whether a variable is added to what comes in."""
    return weights[number].role == "offset" or bool(sums.added[number])


def _holds(operation: Any, variable: Any) -> bool:
    return any(variable is held for held in getattr(operation, "weights", ()))


def _share(value: float, sums: Sums) -> float:
    return float(value / sums.total) if sums.total else 0.0


def _strongest(weights: Sequence[Weight], chosen: Sequence[int], sums: Sums, top: int) -> tuple[StrongWeight, ...]:
    found = [
        (float(value), weights[number], int(flat))
        for number, (values, places) in zip(chosen, sums.tops, strict=False)
        if len(weights[number].variable.shape) > 1
        for value, flat in zip(values, places, strict=True)
        if value > 0
    ]
    return tuple(
        StrongWeight(
            variable=weight.path,
            index=tuple(int(each) for each in np.unravel_index(flat, tuple(weight.variable.shape))),
            share=_share(value, sums),
        )
        for value, weight, flat in sorted(found, key=lambda each: -each[0])[:top]
    )
