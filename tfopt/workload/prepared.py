"""The workload of whatever was loaded, a Keras model or a SavedModel, with failures in words."""

from __future__ import annotations

import keras

from tfopt.model.load import LoadedModel, load
from tfopt.workload.device import Placement
from tfopt.workload.failures import StepUnsound, explained
from tfopt.workload.options import Options
from tfopt.workload.scope_names import usable_scopes
from tfopt.workload.serving import prepare_serving
from tfopt.workload.workers.contestant import Contestant
from tfopt.workload.workload import Workload, prepare

__all__ = ["loaded_model", "prepared"]


def loaded_model(contestant: Contestant) -> LoadedModel:
    """A contestant's model; random weights are those of its seed. Raises InputError or UsageError."""
    keras.utils.set_random_seed(contestant.options.seed)
    return load(
        contestant.model, imports=contestant.imports, unsafe=contestant.unsafe, input_size=contestant.input_size
    )


def prepared(loaded: LoadedModel, options: Options, placement: Placement) -> Workload:
    """The workload of a loaded model. Raises InputError, UsageError or RunFailed where it cannot be prepared."""
    with explained("preparing the step", StepUnsound), usable_scopes():
        prepare_any = prepare_serving if loaded.source.format == "savedmodel" else prepare
        return prepare_any(loaded.model, options, placement)
