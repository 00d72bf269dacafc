"""The short of a model's influence, for a profile: two more passes over it, and neither may fail the profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.pathways.health import Checkup
from tfopt.pathways.path_weights import ones_of, path_report, path_sums
from tfopt.pathways.plan import Plan
from tfopt.profiling.telling import told
from tfopt.records.base import Note
from tfopt.records.health import HealthReport
from tfopt.records.influence_summary import InfluenceSummary
from tfopt.records.path_weights import PathReport
from tfopt.report.progress import ProgressCallback
from tfopt.workload.workload import Workload

__all__ = ["influence_summary", "kept_weights"]


def kept_weights(model: Any) -> tuple[tuple[Any, Any], ...]:
    """The variables of a model with the values that they have now."""
    return tuple((variable, tf.identity(variable.value)) for variable in getattr(model, "weights", ()))


def influence_summary(
    workload: Workload, weights: Sequence[tuple[Any, Any]], progress: ProgressCallback
) -> tuple[InfluenceSummary | None, tuple[Note, ...]]:
    """Path weights of the model that the workload runs, and the health of its batch; None for a SavedModel. Notes say
    what is not known.

    The model gets its `weights` back first: the steps of a profile have trained it, on whatever data.
    """
    notes: list[Note] = []
    paths: PathReport | None = None
    health: HealthReport | None = None
    if not isinstance(workload.model, keras.Model):
        return None, ()
    for variable, value in weights:
        variable.assign(value)
    progress("summing over paths", None)
    with told("path weights are not known", notes):
        paths = _paths(workload.model, workload.batch.x)
    if workload.step.trains and workload.step.source == "tfopt":
        progress("looking at signals and gradients", None)
        with told("the health of signals and gradients is not known", notes):
            health = Checkup(workload.model).run(*workload.batch.arguments)
    if health is None:
        return InfluenceSummary(paths=paths), tuple(notes)
    summary = InfluenceSummary(
        paths=paths,
        samples=health.samples,
        forward_gain=health.forward_gain,
        backward_gain=health.backward_gain,
        warnings=health.warnings,
    )
    return summary, tuple(notes)


def _paths(model: Any, x: Any) -> PathReport:
    """Without the shares of single variables, whose gradients are not taken."""
    inputs = keras.tree.map_structure(lambda leaf: ones_of(_dense(leaf).dtype.name, (1, *leaf.shape[1:])), x)
    surrogate, sums, reason = path_sums(model, Plan(free=True), inputs, weights=False)
    return path_report(surrogate, inputs, sums, reason)


def _dense(leaf: Any) -> Any:
    if not isinstance(leaf, tf.Tensor):
        raise TypeError("inputs that are sparse or ragged have no fixed number of values to start paths from")
    return leaf
