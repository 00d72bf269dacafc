"""The workload of whatever was loaded, a Keras model or a SavedModel, with failures in words."""

from __future__ import annotations

from tfopt.model.load import LoadedModel
from tfopt.workload.device import Placement
from tfopt.workload.failures import StepUnsound, explained
from tfopt.workload.options import Options
from tfopt.workload.scope_names import usable_scopes
from tfopt.workload.serving import prepare_serving
from tfopt.workload.workload import Workload, prepare

__all__ = ["prepared"]


def prepared(loaded: LoadedModel, options: Options, placement: Placement) -> Workload:
    """The workload of a loaded model. Raises InputError, UsageError or RunFailed where it cannot be prepared."""
    with explained("preparing the step", StepUnsound), usable_scopes():
        prepare_any = prepare_serving if loaded.source.format == "savedmodel" else prepare
        return prepare_any(loaded.model, options, placement)
