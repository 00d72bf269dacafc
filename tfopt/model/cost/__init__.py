"""What each layer of a model costs: parameters, arithmetic and memory traffic of a step, from static shapes.

`layer_costs` runs the model once symbolically, notes each call of each layer (`observe`), and asks the closed form of
its class (`registry`; one file per family of layers) or counts the ops that the call made (`ops`).
"""

from __future__ import annotations

from tfopt.model.cost.costs import layer_costs
from tfopt.model.cost.serving import scope_costs

__all__ = ["layer_costs", "scope_costs"]
