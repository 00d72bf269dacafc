"""Facts of small models, as a census would find them."""

from __future__ import annotations

from typing import Any

from tfopt.records.facts import Environment, LayerFacts, ModelFacts
from tfopt.workload.options import Options
from tfopt.workload.workers.contestant import Contestant

__all__ = ["ELSEWHERE", "HERE", "MODEL", "facts"]

HERE = Environment(tensorflow="2.21.0", keras="3.15.1", cpu="A, 2 threads")
ELSEWHERE = Environment(tensorflow="2.21.0", keras="3.15.1", cpu="B, 8 threads")
MODEL = Contestant("small", "models/small.keras", Options())


def facts(layers: dict[str, dict[str, float]] | None = None, **values: float) -> ModelFacts:
    """Facts with `values`, and layers by path."""
    fields: dict[str, Any] = {"dtypes": {"float32": 100}, "cost_s": {"graph_ops": 0.25}}
    found = tuple(LayerFacts(path=path, type="Dense", values=of) for path, of in (layers or {}).items())
    return ModelFacts(values=values, layers=found, **fields)
