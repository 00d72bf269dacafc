"""What differs between two runs beside their times, and what that means for comparing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tfopt.records.base import Note
from tfopt.records.difference import Circumstance, LayerChange
from tfopt.records.profile import InputInfo, ProfileRecord
from tfopt.report import summary, units

__all__ = ["NO_BENCHMARK", "SAME_RECORDING", "circumstances", "remarks", "unlike"]

_FACTS: dict[str, Callable[[ProfileRecord], object]] = {
    "model": lambda record: record.model.path,
    "parameters": lambda record: f"{record.model.params:,}",
    "trainable parameters": lambda record: f"{record.model.trainable_params:,}",
    "model type": lambda record: record.model.type,
    "file format": lambda record: record.model.format,
    "file size": lambda record: record.model.size_bytes and units.size(record.model.size_bytes),
    "file's Keras": lambda record: record.model.keras_version,
    "mode": lambda record: record.run.mode,
    "program": summary.program,
    "precision": lambda record: record.run.precision,
    "batch size": lambda record: record.run.batch_size,
    "one example": lambda record: ", ".join(map(_example, record.run.inputs)),
    "data": lambda record: record.run.data,
    "loss": lambda record: record.run.loss,
    "optimizer": lambda record: record.run.optimizer,
    "train step": lambda record: record.run.step_source,
    "device": lambda record: record.run.device,
    "CPU": lambda record: record.run.cpu,
    "threads": lambda record: record.run.threads,
    "TensorFlow": lambda record: record.run.tensorflow,
    "Keras": lambda record: record.run.keras,
    "Python": lambda record: record.run.python,
    "tfopt": lambda record: record.run.tfopt,
    "seed": lambda record: record.run.seed,
    "clock": lambda record: record.run.clock,
}

# What makes a comparison other than it seems: of the names in one line the first that differs is told.
_UNLIKE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("mode",), "not like with like: {before} against {after} steps", "profile both with the same --mode"),
    (
        ("batch size",),
        "not like with like: batch {before} against {after}; compare the time per example",
        "profile both with the same --batch-size",
    ),
    (("one example",), "not like with like: the inputs are {before} against {after}", ""),
    (
        ("device", "CPU", "threads"),
        "different {name} ({before} → {after}): the change may be the machine's and not the model's",
        "compare shares of the step, or profile both in one place",
    ),
    (("parameters", "model type"), "the models differ in {name}: {before} against {after}", ""),
)
# Where one of these differs, a shorter time is not a faster program: how the baseline's is told, the first of them.
_ANOTHER = {
    "mode": "mode: {}",
    "parameters": "model: {} parameters",
    "model type": "model: {}",
    "one example": "input: {}",
    "batch size": "batch size: {}",
}
_NOTABLE = 0.1  # tracing below this is no news
NO_BENCHMARK = Note(
    message="this compares two recordings and is no benchmark: runs of one program differ by more than one run tells",
    hint="record both sides again, in turns, and look whether the change stays",
)
SAME_RECORDING = Note(message="both sides are the same recording: nothing can differ", hint="name another run")


def circumstances(before: ProfileRecord, after: ProfileRecord) -> tuple[Circumstance, ...]:
    """What differs, as words for people: `–` where a run has no such thing."""
    texts = ((name, _text(fact(before)), _text(fact(after))) for name, fact in _FACTS.items())
    return tuple(Circumstance(name=name, before=old, after=new) for name, old, new in texts if old != new)


def unlike(differing: Iterable[Circumstance]) -> str:
    """What the baseline has another of, so that neither run is the faster: `mode: train`; '' where they are alike."""
    before = {item.name: item.before for item in differing}
    return next((form.format(before[name]) for name, form in _ANOTHER.items() if name in before), "")


def _example(info: InputInfo) -> str:
    """An input without its batch, whose size is a circumstance of its own, and its name, which takes no time."""
    return f"{info.dtype} {list(info.shape[1:])}"


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def remarks(
    before: ProfileRecord, after: ProfileRecord, differing: tuple[Circumstance, ...], layers: tuple[LayerChange, ...]
) -> Iterator[Note]:
    """What a reader of the difference must know: where it is not like with like, and that it is no benchmark."""
    if before == after:
        yield SAME_RECORDING
        return
    by_name = {item.name: item for item in differing}
    for names, message, hint in _UNLIKE:
        item = next((by_name[name] for name in names if name in by_name), None)
        if item is not None:
            yield Note(message=message.format(name=item.name, before=item.before, after=item.after), hint=hint)
    alone = sum(row.own.before_ms + row.own.after_ms for row in layers if row.presence != "both")
    if alone > (before.step.median_ms + after.step.median_ms) / 2:
        yield Note(message="most of the time is in layers that only one of the runs has: are these the same model?")
    for name, record in (("baseline", before), ("run", after)):
        if record.step.overhead > _NOTABLE:
            longer = units.added(record.step.overhead)
            yield Note(
                message=f"tracing made the {name}'s steps longer ({longer}): rows are less sure than the step time"
            )
    yield NO_BENCHMARK
