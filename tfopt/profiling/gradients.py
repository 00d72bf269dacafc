"""`tfopt gradients`: how large the gradients of a model's loss are, and what modified weights change of that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfopt.profiling.gradient_runs import GradientSubject, gradient_subject
from tfopt.records.base import Note, finite
from tfopt.records.gradients import GradientsRecord, LayerGradients, VariableGradient
from tfopt.report.progress import ProgressCallback, silent
from tfopt.wording import listed
from tfopt.workload.options import Options

if TYPE_CHECKING:  # these import TensorFlow, which is loaded quietly and late
    from tfopt.modified.measuring import Measured

__all__ = ["gradients"]


def gradients(
    model: Any,
    *,
    modify: Sequence[str] = (),
    include: Sequence[str] = (),
    batch_size: int | None = None,
    input_shape: Sequence[str] = (),
    input_size: int | None = None,
    data: str = "synthetic",
    loss: str | None = None,
    precision: str | None = None,
    xla: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    command: str = "tfopt.gradients",
    progress: ProgressCallback = silent,
) -> GradientsRecord:
    """The gradients of one batch's loss in training, by variable; nothing is updated.

    Args:
        model: a path (`.keras`, `.h5`), `app:NAME`, or a built Keras model, which is left as it was.
        modify: what weights go through, in order: `scale=0.5`, `threshold=0.1`, `ste-threshold=0.1`, `fake-quant=8`,
            `low-rank=4`, `relu` and other functions, or `package.module:function`; a second pass then shows what that
            changes, on the same batch with the same random numbers.
        include: patterns of the paths of weights to modify; default: every kernel but those of embeddings.
        batch_size: examples; default 32, or what the data has.
        input_shape: shapes without the batch for free dimensions, such as `("96,96,3",)` or `("tokens=128",)`.
        input_size: height and width for `app:NAME`.
        data: `synthetic`, `FILE.npz`, or `package.module:function`, of which the first batch is taken.
        loss: Keras name that replaces the model's own.
        precision: `float32`, `mixed_float16`, `mixed_bfloat16`, `float16` or `bfloat16`; None keeps what the file has.
        xla: compile the passes with XLA.
        seed: for synthetic data, random weights and factors that are drawn.
        threads: threads for ops; None leaves TensorFlow's choice.
        imports: modules with the model's custom classes.
        unsafe: allow Lambda layers to run code from the file.
        command: the command line, for the record.
        progress: called with a stage and the fraction done (None while unknown).

    Raises:
        UsageError, InputError, RunFailed: with a hint that mends it.
    """
    options = Options("train", batch_size, tuple(input_shape), data, loss, None, precision, xla, seed=seed)
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
    ) as subject:
        from tfopt.modified.measuring import gradient_variables, measure
        from tfopt.workload.failures import StepUnsound, explained

        workload = subject.workload
        variables = gradient_variables(workload.model, subject.modified)
        arguments = workload.batch.arguments
        with explained("the gradient pass", StepUnsound):
            progress("computing gradients", None)
            plain = measure(workload.model, arguments, variables, None, xla=workload.xla)
            after = None
            if subject.modified is not None:
                progress("computing gradients with modified weights", None)
                after = measure(workload.model, arguments, variables, subject.modified, xla=workload.xla)
        return _record(subject, variables, plain, after)


def _record(
    subject: GradientSubject, variables: Sequence[Any], plain: Measured, after: Measured | None
) -> GradientsRecord:
    from tfopt.model.layers import layer_tree, own_variables

    tree = layer_tree(subject.workload.model)
    owners = {id(each): path for path, own in own_variables(tree).items() for each in own}
    changed = {id(each.variable) for each in subject.modified.modified} if subject.modified is not None else set()
    rows = tuple(
        VariableGradient(
            path=variable.path,
            layer=owners[id(variable)],
            size=math.prod(variable.shape),
            norm=_norm(variable),
            gradient=gradient,
            modified=id(variable) in changed,
            after=None if after is None else after.gradients[number],
        )
        for number, (variable, gradient) in enumerate(zip(variables, plain.gradients, strict=True))
    )
    held = {row.layer for row in rows}
    return GradientsRecord(
        model=subject.model,
        run=subject.run,
        loss=finite(plain.loss),
        loss_after=None if after is None else finite(after.loss),
        layers=tuple(
            LayerGradients(path=node.path, type=node.type, depth=node.depth)
            for node in tree
            if any(path == node.path or path.startswith(f"{node.path}/") for path in held)
        ),
        variables=rows,
        untracked=subject.untracked,
        notes=(*subject.notes, *subject.said, *_remarks(rows)),
    )


def _norm(variable: Any) -> float | None:
    import numpy as np

    return finite(float(np.linalg.norm(np.asarray(variable.numpy(), "float64"))))


def _remarks(rows: Sequence[VariableGradient]) -> Iterator[Note]:
    without = [row.path for row in rows if row.gradient is None]
    if without:
        yield Note(message=f"the loss does not depend on {listed(without)}: no gradient, which is not a zero")
    cut = [row.path for row in rows if row.modified and row.gradient is not None and row.after is None]
    if cut:
        yield Note(
            message=f"no gradient passes the modification of {listed(cut)}",
            hint="it has no derivative: choose one that passes it straight through, such as ste-threshold",
        )
