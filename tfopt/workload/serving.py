"""The workload of a SavedModel: its serving signature, timed as a forward pass, with rows by op scope.

Keras 3 sees a SavedModel as one opaque layer: there are no Keras layers to name and no training step to run. The name
scopes of the graph's ops take the layers' place.
"""

from __future__ import annotations

from typing import Any

from tfopt.errors import InputError, UsageError
from tfopt.model.scope_tree import scope_tree
from tfopt.trace.scopes import Place
from tfopt.workload.batching import batch_for
from tfopt.workload.device import Placement
from tfopt.workload.options import Options
from tfopt.workload.scopes import Scopes
from tfopt.workload.step import serving_step
from tfopt.workload.workload import Workload, unused_in_inference

__all__ = ["prepare_serving"]


def prepare_serving(serving: Any, options: Options, placement: Placement) -> Workload:
    """The workload of a serving signature. Raises InputError where training or another precision is asked for."""
    if options.mode == "train":
        raise InputError(
            "a SavedModel is one opaque layer to Keras 3: it holds no training step",
            "profile its forward pass with --mode infer, or train the .keras file it was exported from",
        )
    if options.precision or options.eager:
        what = "--eager" if options.eager else f"--precision {options.precision}"
        raise UsageError(f"{what} cannot change a SavedModel: its graph is fixed", "use the .keras file instead")
    batch = batch_for(serving, options, None)
    scopes = _scopes(serving)
    step = serving_step(serving, scopes, placement, xla=bool(options.xla))
    notes = (*batch.notes, *unused_in_inference(options))
    return Workload(serving, step, batch, scopes, bool(options.xla), None, notes)


def _scopes(serving: Any) -> Scopes:
    """The tree of the graph's name scopes, each registered as its own place."""
    scopes = Scopes(scope_tree(serving))
    root, *nodes = scopes.tree
    for node in nodes:
        scopes.table.register(node.path.removeprefix(f"{root.path}/"), Place(node.path, "forward"))
    return scopes
