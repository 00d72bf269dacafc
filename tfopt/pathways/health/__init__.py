"""Is the model healthy: do signals and gradients get through it, and are its units alive?

`checkup` runs one compiled pass (`passing`) over the model as it is; `watching` sees its layers and activation
functions, `statistics` reduces their tensors inside the graph, `reading` makes the report. `expected` says what an
initializer gives, `gains` how a signal changes from layer to layer, `warnings` what of it is wrong.
"""

from __future__ import annotations

from tfopt.pathways.health.checkup import Checkup, health

__all__ = ["Checkup", "health"]
