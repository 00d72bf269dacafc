"""Turn what TensorFlow and Keras raise into two lines that a person can act on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from tfopt.errors import InputError, RunFailed, TfoptError
from tfopt.model.source import ModelSource, file_label
from tfopt.workload.options import Options

__all__ = ["StepUnsound", "explained", "file_at_fault", "first_line"]


class StepUnsound(RunFailed):
    """A step that never ran once, memory aside: the model, or what the options made of it, does not compute."""


# (pattern in the error's text or type, hint). The first that matches counts.
_HINTS = (
    (r"ResourceExhausted|OOM|MemoryError|bad_alloc", "try a smaller --batch-size, or --precision mixed_bfloat16"),
    (r"XLA|[Uu]nsupported operations|tf2xla|hlo", "XLA cannot compile this model: profile it with --no-xla"),
    (r"[Ii]ncompatible shapes|must have the same shape|shape mismatch|expected shape|Dimensions must be equal",
     "check that inputs, targets and loss fit: --input-shape, --loss or --data"),
    (r"[Nn]o gradients|None for gradients", "no weight takes part in the loss: choose another --loss"),
    (r"[Nn]o loss to compute", "the model was compiled without a loss: choose one with --loss"),
    (r"must have rank \(ndim\)|target\.ndim",
     "this loss wants class numbers, not one-hot rows: change --loss or the data"),
    (r"Invalid reduction dimension",
     "the loss wants an output with a batch dimension: profile the forward pass with --mode infer"),
    (r"missing a required argument|missing \d+ required positional",
     "the model's call must take all its inputs as one argument (a list or dict), as model.fit gives them"),
    (r"label value of|outside the valid range", "targets must be class numbers below the number of outputs"),
    (r"[Ii]nvalid input shape|expected min_ndim|expected ndim|incompatible with the layer",
     "batches must fit the model's input: batch the data set with .batch(N), check its shapes"),
    (r"not compatible with eager|numpy\(\)|symbolic", "the model runs Python on its tensors: try --eager"),
)  # fmt: skip
# Lines of Keras and TensorFlow that say where, not what.
_FRAME = re.compile(
    r"\s|<stack traces|Exception encountered when calling|Graph execution|Detected at node|Stack trace|\[\["
)
# Colours, and the names that nodes and functions have in TensorFlow's graph.
_MARKS = re.compile(r"\x1b\[[0-9;]*m|\{\{function_node .*?\}\} |\.? for '\{\{node .*| graph __inference_\w+\[[^\]]*\]")
_FALLBACK = "run the model's own train_on_batch on such a batch; --debug shows the traceback"


_OUT_OF_MEMORY = _HINTS[0][0]


@contextlib.contextmanager
def explained(stage: str, kind: type[RunFailed] = RunFailed) -> Iterator[None]:
    """Raise whatever fails inside as `kind`, naming the stage, the first line of the cause and a hint.

    Running out of memory is always RunFailed.
    """
    try:
        yield
    except (TfoptError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, text)), _FALLBACK)
        raised = RunFailed if re.search(_OUT_OF_MEMORY, text) else kind
        raise raised(f"{stage} failed: {first_line(error)}", hint) from error


@contextlib.contextmanager
def file_at_fault(source: ModelSource, options: Options) -> Iterator[None]:
    """A step that cannot run is the file's fault where nothing but the file says what to run."""
    try:
        yield
    except StepUnsound as error:
        plain = Options(mode=options.mode, batch_size=options.batch_size, seed=options.seed)
        if source.format in ("application", "object") or options != plain:
            raise
        raise InputError(f"{file_label(source.path)} loads but does not run: {error.message}", error.hint) from error


def first_line(error: BaseException, limit: int = 200) -> str:
    """The first line of an error that says something, at most `limit` characters long."""
    lines = str(getattr(error, "message", None) or error).splitlines()
    said = [line.strip() for line in lines if line.strip() and not _FRAME.match(line)]
    text = _MARKS.sub("", said[0]) if said else type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
