"""The sensitivity of each weight: the metric of the model with that weight pruned and all else as it was."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from tfopt.pruning.job import Job, Parts
from tfopt.pruning.metric import metric_of
from tfopt.pruning.removing import Removing
from tfopt.pruning.sensitivity import SPARSITIES, sensitivity
from tfopt.records.base import finite
from tfopt.records.pruning import SensitivityPoint
from tfopt.wording import counted

__all__ = ["each_alone"]

_HALF = 0.5  # what scores are asked for where nothing says how much goes


def each_alone(job: Job, removing: Removing, paths: Sequence[str]) -> Parts:
    """The metric with each weight pruned by itself, each beside the metric of the model as it is."""
    batch = job.examples.measured()
    name, metric = metric_of(job.model, batch.x, batch.y, job.options.loss, job.examples.batch_size)
    intact = SensitivityPoint(path="", sparsity=0.0, value=finite(metric()))
    scores = removing.scores(job.wishes.sparsity or _HALF)
    scope = "output" if job.wishes.rivals == "output" else "layer"
    points = sensitivity(removing.weights, scores, metric, scope=scope, progress=job.progress)
    named = [
        structs.replace(point, path=path)
        for number, path in enumerate(paths)
        for point in (intact, *points[len(SPARSITIES) * number : len(SPARSITIES) * (number + 1)])
    ]
    return {"sensitivity": tuple(named), "sensitivity_metric": f"{name} on {counted(batch.size, 'sample')}"}
