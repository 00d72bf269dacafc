"""What `tfopt gradients` and `tfopt gradcheck` have in common: a model, a batch and modified weights, ready."""

from __future__ import annotations

import contextlib
import datetime
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import tfopt
from tfopt.errors import InputError, UsageError
from tfopt.model.said import said_as_notes
from tfopt.records.base import Note
from tfopt.records.gradients import GradientRun
from tfopt.records.profile import ModelInfo
from tfopt.report.progress import ProgressCallback
from tfopt.wording import listed
from tfopt.workload.options import Options, check_numbers
from tfopt.workload.runtime import import_tensorflow, set_threads, threads_used

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.modified.parametrization import Parametrization
    from tfopt.workload.workload import Workload

__all__ = ["GradientSubject", "gradient_subject"]


@dataclass(frozen=True)
class GradientSubject:
    """`said` grows while the block runs: what TensorFlow and Keras say."""

    workload: Workload
    modified: Parametrization | None
    model: ModelInfo
    run: GradientRun
    untracked: tuple[str, ...]
    notes: tuple[Note, ...]
    said: list[Note]


@contextlib.contextmanager
def gradient_subject(
    model: Any,
    options: Options,
    *,
    modify: Sequence[str],
    include: Sequence[str],
    input_size: int | None,
    threads: int | None,
    imports: Sequence[str],
    unsafe: bool,
    command: str,
    progress: ProgressCallback,
    default_batch: int | None = None,
) -> Iterator[GradientSubject]:
    """Load and prepare for the block; a model object is put back as it was after it. `default_batch` is the size of a
    synthetic batch where neither options nor model choose one."""
    if include and not modify:
        raise UsageError("--include chooses what --modify modifies", "add --modify, or leave --include out")
    check_numbers(batch_size=options.batch_size, input_size=input_size, threads=threads)
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with contextlib.ExitStack() as stack:
        progress("loading TensorFlow", None)
        import_tensorflow()
        set_threads(threads)

        import keras
        import tensorflow as tf

        from tfopt.model.inputs import input_specs
        from tfopt.modified.parametrization import parametrize
        from tfopt.modified.untracked import untracked
        from tfopt.profiling.subject import loaded_or_given, model_info, saved_precision
        from tfopt.workload.device import place
        from tfopt.workload.prepared import prepared
        from tfopt.workload.scope_names import usable_scopes

        placement = place("cpu")
        stack.enter_context(placement.scope())
        progress("loading the model", None)
        loaded = loaded_or_given(model, imports, unsafe, input_size, options.seed, stack)
        if loaded.source.format == "savedmodel":
            raise InputError("a SavedModel has no weights that gradients reach", "give the .keras file it came from")
        if not loaded.model.trainable_variables:
            raise InputError(
                f"{loaded.model.name} has no trainable weights: it has no gradients", "unfreeze its layers"
            )
        said: list[Note] = []
        stack.enter_context(said_as_notes(said))
        stack.enter_context(usable_scopes())
        if default_batch and options.data == "synthetic" and options.batch_size is None:
            specs = input_specs(loaded.model, input_shape=options.input_shape)
            if all(spec.shape[0] is None for spec in specs):
                options = replace(options, batch_size=default_batch)
        workload = prepared(loaded, options, placement)
        subject = workload.model
        modified = parametrize(subject, list(modify), include=include, seed=options.seed) if modify else None
        raw = untracked(subject)
        yield GradientSubject(
            workload,
            modified,
            model_info(loaded, subject),
            GradientRun(
                loss=workload.loss or "of add_loss",
                precision=options.precision or saved_precision(subject),
                batch_size=workload.batch.size,
                inputs=workload.batch.inputs,
                data=options.data,
                xla=workload.xla,
                modify=tuple(modify),
                include=tuple(include),
                device=placement.name,
                threads=threads_used(),
                seed=options.seed,
                command=command,
                started_at=started_at,
                tfopt=tfopt.__version__,
                python=platform.python_version(),
                tensorflow=tf.__version__,
                keras=keras.__version__,
            ),
            raw,
            (*loaded.notes, *workload.notes, *_remarks(workload, modified, raw)),
            said,
        )


def _remarks(workload: Workload, modified: Parametrization | None, raw: Sequence[str]) -> Iterator[Note]:
    from tfopt.model.layers import layer_tree

    if workload.step.source != "tfopt":
        yield Note(
            message=f"gradients are those of the model's loss; what {workload.step.source} does is not looked at"
        )
    if modified is not None and modified.left_out:
        yield Note(
            message=f"not modified: {listed(modified.left_out)}; gradients of modified embeddings are dense and slow",
            hint="name them with --include if you want them",
        )
    quantized = [node.path for node in layer_tree(workload.model) if getattr(node.layer, "quantization_mode", None)]
    if quantized:
        yield Note(
            message=f"quantized: {listed(quantized)}; what is rounded there passes gradients on as if it were not, "
            "which are no derivatives",
            hint="check the model before it is quantized",
        )
    if raw:
        yield Note(
            message=f"raw tf.Variables that Keras does not track: {listed(raw)}; they are neither saved nor shown here",
            hint="make them with add_weight",
        )
