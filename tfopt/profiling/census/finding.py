"""The finders of facts by name, and the facts of one model that they find."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any

from tfopt.errors import InputError
from tfopt.model.said import said_as_notes
from tfopt.profiling.census import steps, weights
from tfopt.profiling.census.subject import Found, Subject
from tfopt.profiling.influence import influence
from tfopt.profiling.telling import told
from tfopt.records.base import Note
from tfopt.records.fact_kinds import COSTLY
from tfopt.records.facts import LayerFacts, ModelFacts
from tfopt.workload.device import place
from tfopt.workload.options import Options
from tfopt.workload.prepared import loaded_model
from tfopt.workload.workers.contestant import Contestant

__all__ = ["FINDERS", "model_facts"]


def _forward_flops(subject: Subject) -> Found:
    return _flops(subject, "forward_flops")


def _step_flops(subject: Subject) -> Found:
    return _flops(subject, "flops")


def _flops(subject: Subject, amount: str) -> Found:
    layers = {row.path: getattr(row, amount) for row in subject.costs}
    return Found(sum(layers.values()), {path: value for path, value in layers.items() if value})


def _file_bytes(subject: Subject) -> Found:
    size = subject.loaded.source.size_bytes
    if size is None:
        raise InputError(f"{subject.loaded.source.path} has no file", "name the file of a saved model")
    return Found(size)


def _failed_certificates(subject: Subject) -> Found:
    options = subject.options
    record = influence(
        subject.loaded.model,
        paths=0,
        health=False,
        batch_size=options.batch_size,
        input_shape=options.input_shape,
        data=options.data,
        loss=options.loss,
        seed=options.seed,
    )
    reports = [report for report in (record.paths, record.relevance) if report is not None]
    failed = [one for report in reports for one in report.certificates if not one.met]
    layers: defaultdict[str, float] = defaultdict(float)
    for certificate in failed:
        if certificate.layer is not None:
            layers[certificate.layer] += 1
    return Found(len(failed), layers)


# In this order: the last ones run steps, which changes the weights.
FINDERS: dict[str, Callable[[Subject], Found]] = {
    "params": weights.params,
    "trainable_params": weights.trainable_params,
    "sparsity": weights.sparsity,
    "half_share": weights.half_share,
    "file_bytes": _file_bytes,
    "forward_flops": _forward_flops,
    "step_flops": _step_flops,
    "failed_certificates": _failed_certificates,
    "graph_ops": steps.graph_ops,
    "outside_xla": steps.outside_xla,
    "peak_bytes": steps.peak_bytes,
    "hlo_instructions": steps.hlo_instructions,
    "fusions": steps.fusions,
    "retraces": steps.retraces,
}


def model_facts(contestant: Contestant, names: Collection[str], begin: Callable[[str], None]) -> ModelFacts:
    """The facts of these names; `begin` is told what is being done. What cannot be found is left out, with a note.

    Raises InputError or UsageError where the model cannot be loaded.
    """
    values: dict[str, float] = {}
    cost_s: dict[str, float] = {}
    of_layers: defaultdict[str, dict[str, float]] = defaultdict(dict)
    notes: list[Note] = []
    placement = place(contestant.device)
    with placement.scope(), said_as_notes([]):
        begin("loading the model")
        subject = Subject.of(loaded_model(contestant), contestant.options, placement)
        dtypes = weights.dtypes(subject)
        for name, finder in FINDERS.items():
            if name not in names:
                continue
            begin(f"finding {name}")
            started = time.process_time()
            with told(f"{name} is not known", notes):
                found = finder(subject)
                if math.isfinite(found.value):
                    values[name] = found.value
                for path, value in found.layers.items():
                    of_layers[path][name] = value
            if name in COSTLY:
                cost_s[name] = time.process_time() - started
    layers = [LayerFacts(path=path, type=kind, values=of_layers[path]) for path, kind in subject.types.items()]
    return ModelFacts(
        values=values,
        dtypes=dtypes,
        layers=tuple(layers),
        cost_s=cost_s,
        circumstances=_circumstances(contestant.options),
        notes=tuple(notes),
    )


def _circumstances(options: Options) -> dict[str, str]:
    """What was asked for of the step beyond its defaults."""
    asked: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        field.name: ",".join(asked[field.name]) if isinstance(asked[field.name], tuple) else str(asked[field.name])
        for field in fields(options)
        if asked[field.name] != field.default and field.name not in ("data", "seed")
    }
