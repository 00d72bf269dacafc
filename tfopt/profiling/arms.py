"""What is compared: every model in every variant and batch size, each under a label of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from tfopt.errors import UsageError
from tfopt.model.source import ModelSource, file_label
from tfopt.profiling.variants import Variant
from tfopt.workload.workers.contestant import Contestant

__all__ = ["Entry", "baseline_of", "drift_groups", "entries", "shown_as"]

# Enough examples for sound statistics of BatchNormalization, and few enough for XLA's slowest kernels.
_DRIFT_BATCH = 16


@dataclass(frozen=True)
class Entry:
    """One arm, and the contestant whose numbers stand for all its batch sizes."""

    source: ModelSource
    variant: Variant
    contestant: Contestant
    numbers: Contestant


def entries(
    sources: Sequence[ModelSource], variants: Sequence[Variant], batch_sizes: Sequence[int | None], base: Contestant
) -> tuple[Entry, ...]:
    """All arms in the order asked for: models, then variants, then batch sizes. `base` has what all of them share.

    UsageError where two would be the same.
    """
    found = []
    for (source, called), variant, size in product(_told_apart(sources), variants, batch_sizes):
        name = f"{called} {variant.name}".strip()
        options = variant.options(base.options, source)
        few = min(size, _DRIFT_BATCH) if size else None if ":" in options.data else _DRIFT_BATCH
        one = replace(
            base,
            label=f"{name} batch {size}" if len(batch_sizes) > 1 else name,
            model=source.path,
            options=replace(options, batch_size=size),
            device=variant.device or base.device,
        )
        found.append(Entry(source, variant, one, replace(one, label=name, options=replace(options, batch_size=few))))
    label, count = Counter(entry.contestant.label for entry in found).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{label} would be compared with itself", "name each model, variant and batch size once")
    if len(found) < 2:
        raise UsageError("there is nothing to compare", "name another model, variant or batch size")
    return tuple(found)


def _told_apart(sources: Sequence[ModelSource]) -> list[tuple[ModelSource, str]]:
    """Each model with what tells it from the others: nothing, its file's name, or its whole path."""
    if len(sources) == 1:
        return [(sources[0], "")]
    names = [file_label(shown_as(source)) for source in sources]
    unique = len(set(names)) == len(names)
    return [(source, name if unique else shown_as(source)) for source, name in zip(sources, names, strict=True)]


def shown_as(source: ModelSource) -> str:
    """How a model is called: as the user typed it, an object by its own name."""
    return source.name if source.format == "object" else source.path


def baseline_of(arms: Sequence[Entry]) -> Entry:
    """The float32 graph of the first model in the first batch size; the first arm where that is not among them."""
    first = arms[0].contestant.model
    return next((arm for arm in arms if arm.variant.is_reference and arm.contestant.model == first), arms[0])


def drift_groups(arms: Sequence[Entry]) -> tuple[tuple[Contestant, tuple[Contestant, ...]], ...]:
    """(reference, what is compared with it) for each model: its variants, and with the first model all others.

    The reference is the model's float32 graph, also where that is no arm.
    """
    models = list(dict.fromkeys(arm.contestant.model for arm in arms))
    references = {model: _reference(model, arms) for model in models}
    groups = []
    for model, reference in references.items():
        own = {arm.numbers.label: arm.numbers for arm in reversed(arms) if arm.contestant.model == model}
        own.pop(reference.label, None)
        others = [other for name, other in references.items() if name != model] if model == models[0] else []
        groups.append((reference, (*reversed(own.values()), *others)))
    return tuple(groups)


def _reference(model: str, arms: Sequence[Entry]) -> Contestant:
    own = [arm for arm in arms if arm.contestant.model == model]
    found = next((arm.numbers for arm in own if arm.variant.is_reference), None)
    if found is not None:
        return found
    numbers, graph = own[0].numbers, Variant("graph")
    label = numbers.label.removesuffix(own[0].variant.name) + graph.name
    return replace(numbers, label=label, options=graph.options(numbers.options, own[0].source))
