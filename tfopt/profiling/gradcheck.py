"""`tfopt gradcheck`: is the gradient of a model the derivative of its loss?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfopt.errors import UsageError
from tfopt.profiling.gradient_runs import GradientSubject, gradient_subject
from tfopt.records.base import Note, finite
from tfopt.records.gradcheck import FAILING, GradcheckRecord
from tfopt.report.progress import ProgressCallback, silent
from tfopt.wording import listed
from tfopt.workload.options import Options

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.modified.checking import Checked

__all__ = ["gradcheck"]

_BATCH = 4  # as telling as a large one, and every tensor takes several passes


def gradcheck(
    model: Any,
    *,
    modify: Sequence[str] = (),
    include: Sequence[str] = (),
    tolerance: float = 1e-6,
    directions: int = 2,
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    xla: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    command: str = "tfopt.gradcheck",
    progress: ProgressCallback = silent,
) -> GradcheckRecord:
    """Compare the gradient of the loss in training with central differences, tensor by tensor, in float64.

    The model is evaluated in float64 whatever its precision is, and draws the same random numbers each time.

    Args:
        model: a path (`.keras`, `.h5`), `app:NAME`, or a built Keras model, which is left as it was.
        modify, include: check through modified weights, as in `tfopt.gradients`. Where a modification has no derivative
            (straight-through, thresholds, quantization, rounding) the gradient with respect to W′ is checked.
        tolerance: the largest relative error along a direction that agrees.
        directions: how many random directions per tensor.
        batch_size: examples; default 4, or what the data has.
        seed: for synthetic data, random weights, factors that are drawn, and directions.
        input_shape, input_size, data, loss, xla, threads, imports, unsafe, command, progress: as in `tfopt.gradients`.

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it.
    """
    if not tolerance > 0:
        raise UsageError(f"--tolerance {tolerance} is not above 0", "the default is 1e-6")
    if directions < 1:
        raise UsageError(f"--directions {directions} is not above 0", "the default is 2")
    options = Options("train", batch_size, tuple(input_shape), data, loss, None, None, xla, seed=seed)
    with gradient_subject(
        model,
        options,
        modify=modify,
        include=include,
        input_size=input_size,
        threads=threads,
        imports=imports,
        unsafe=unsafe,
        command=command,
        progress=progress,
        default_batch=_BATCH,
    ) as subject:
        from tfopt.modified.checking import check_gradients
        from tfopt.workload.failures import StepUnsound, explained

        workload = subject.workload
        with explained("evaluating the loss in float64", StepUnsound):
            checked = check_gradients(
                workload.model,
                workload.batch.arguments,
                modified=subject.modified,
                tolerance=tolerance,
                directions=directions,
                seed=seed,
                xla=workload.xla,
                progress=progress,
            )
        return GradcheckRecord(
            model=subject.model,
            run=subject.run,
            loss=finite(checked.loss),
            tolerance=tolerance,
            directions=directions,
            checks=checked.checks,
            notes=(*subject.notes, *subject.said, *_remarks(subject, checked)),
        )


def _remarks(subject: GradientSubject, checked: Checked) -> Iterator[Note]:
    if checked.lowered:
        yield Note(
            message=f"not all is computed in float64: {listed(checked.lowered)}; differences are as coarse as that",
            hint="let the layer compute in its inputs' dtype, or give a larger --tolerance",
        )
    if checked.rough:
        yield Note(
            message=f"{', '.join(checked.rough)}: what it passes on is no derivative of what it computes; "
            "checked is the gradient with respect to the modified weight, never through it"
        )
    theirs = [word for word in subject.run.modify if ":" in word]
    if theirs and any(check.verdict in FAILING for check in checked.checks):
        yield Note(
            message=f"the gradient through {listed(theirs)} is checked as its derivative",
            hint="if it is no derivative on purpose, give a tfopt.modified.transforms.Transform with "
            "gradient='surrogate' in its place",
        )
    if unsettled := [check.path for check in checked.checks if check.verdict == "undecided"]:
        yield Note(
            message=f"undecided: {listed(unsettled)}; the loss bends there within the smallest step that can be taken",
            hint="give a larger --batch-size, or larger inputs",
        )
    without = [check.path for check in checked.checks if check.verdict == "no effect"]
    if without:
        yield Note(message=f"the loss does not depend on {listed(without)}: no gradient, and no difference")
