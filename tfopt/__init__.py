"""tfopt: where does a step of a saved Keras model spend its time?

The names below are imported when they are first used, so that `import tfopt` loads neither TensorFlow nor anything
else that is slow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfopt.checks.pipeline import check as check
    from tfopt.diagnosis.diagnose import doctor as doctor
    from tfopt.errors import TfoptError as TfoptError
    from tfopt.modified.functional_call import functional_call as functional_call
    from tfopt.modified.parametrization import parametrize as parametrize
    from tfopt.pathways.ablation import ablate as ablate
    from tfopt.pathways.health import health as health
    from tfopt.pathways.path_weights import path_scores as path_scores
    from tfopt.pathways.path_weights import path_weights as path_weights
    from tfopt.pathways.relevance import relevance as relevance
    from tfopt.pathways.rules.registry import roles as roles
    from tfopt.pathways.rules.registry import rule as rule
    from tfopt.pathways.saliency import weight_saliency as weight_saliency
    from tfopt.pathways.top_paths import top_paths as top_paths
    from tfopt.profiling.compare import compare as compare
    from tfopt.profiling.gradcheck import gradcheck as gradcheck
    from tfopt.profiling.gradients import gradients as gradients
    from tfopt.profiling.influence import influence as influence
    from tfopt.profiling.inspect import inspect as inspect
    from tfopt.profiling.profile import profile as profile
    from tfopt.pruning.masks import masked as masked
    from tfopt.pruning.pipeline import prune as prune
    from tfopt.records.check import CheckRecord as CheckRecord
    from tfopt.records.comparison import ComparisonRecord as ComparisonRecord
    from tfopt.records.diagnosis import DiagnosisRecord as DiagnosisRecord
    from tfopt.records.difference import DifferenceRecord as DifferenceRecord
    from tfopt.records.gradcheck import GradcheckRecord as GradcheckRecord
    from tfopt.records.gradients import GradientsRecord as GradientsRecord
    from tfopt.records.influence import InfluenceRecord as InfluenceRecord
    from tfopt.records.inspection import InspectionRecord as InspectionRecord
    from tfopt.records.profile import ProfileRecord as ProfileRecord
    from tfopt.records.pruning import PruningRecord as PruningRecord
    from tfopt.records.trace import TraceRecord as TraceRecord
    from tfopt.records.trace_difference import TraceDifferenceRecord as TraceDifferenceRecord
    from tfopt.report import render as render
    from tfopt.report.against import diff as diff
    from tfopt.report.runs import read_run as read_run
    from tfopt.report.view import View as View
    from tfopt.trace.summary import read_trace as read_trace

__version__ = "0.1.0"

_HOMES = {
    "CheckRecord": "tfopt.records.check",
    "ComparisonRecord": "tfopt.records.comparison",
    "DiagnosisRecord": "tfopt.records.diagnosis",
    "DifferenceRecord": "tfopt.records.difference",
    "GradcheckRecord": "tfopt.records.gradcheck",
    "GradientsRecord": "tfopt.records.gradients",
    "InfluenceRecord": "tfopt.records.influence",
    "InspectionRecord": "tfopt.records.inspection",
    "ProfileRecord": "tfopt.records.profile",
    "PruningRecord": "tfopt.records.pruning",
    "TfoptError": "tfopt.errors",
    "TraceDifferenceRecord": "tfopt.records.trace_difference",
    "TraceRecord": "tfopt.records.trace",
    "View": "tfopt.report.view",
    "ablate": "tfopt.pathways.ablation",
    "check": "tfopt.checks.pipeline",
    "compare": "tfopt.profiling.compare",
    "diff": "tfopt.report.against",
    "doctor": "tfopt.diagnosis.diagnose",
    "functional_call": "tfopt.modified.functional_call",
    "gradcheck": "tfopt.profiling.gradcheck",
    "gradients": "tfopt.profiling.gradients",
    "inspect": "tfopt.profiling.inspect",
    "parametrize": "tfopt.modified.parametrization",
    "health": "tfopt.pathways.health",
    "influence": "tfopt.profiling.influence",
    "masked": "tfopt.pruning.masks",
    "path_scores": "tfopt.pathways.path_weights",
    "path_weights": "tfopt.pathways.path_weights",
    "profile": "tfopt.profiling.profile",
    "prune": "tfopt.pruning.pipeline",
    "read_run": "tfopt.report.runs",
    "read_trace": "tfopt.trace.summary",
    "relevance": "tfopt.pathways.relevance",
    "render": "tfopt.report",
    "roles": "tfopt.pathways.rules.registry",
    "rule": "tfopt.pathways.rules.registry",
    "top_paths": "tfopt.pathways.top_paths",
    "weight_saliency": "tfopt.pathways.saliency",
}

__all__ = [
    "CheckRecord",
    "ComparisonRecord",
    "DiagnosisRecord",
    "DifferenceRecord",
    "GradcheckRecord",
    "GradientsRecord",
    "InfluenceRecord",
    "InspectionRecord",
    "ProfileRecord",
    "PruningRecord",
    "TfoptError",
    "TraceDifferenceRecord",
    "TraceRecord",
    "View",
    "__version__",
    "ablate",
    "check",
    "compare",
    "diff",
    "doctor",
    "functional_call",
    "gradcheck",
    "gradients",
    "health",
    "influence",
    "inspect",
    "masked",
    "parametrize",
    "path_scores",
    "path_weights",
    "profile",
    "prune",
    "read_run",
    "read_trace",
    "relevance",
    "render",
    "roles",
    "rule",
    "top_paths",
    "weight_saliency",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
