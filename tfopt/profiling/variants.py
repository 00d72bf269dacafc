"""Ways to run a model, by name: what each changes of the options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import cast

from tfopt.errors import UsageError
from tfopt.model.source import ModelSource
from tfopt.records.comparison import Program
from tfopt.workload.options import PRECISIONS, Options

__all__ = ["SAVED", "VARIANTS", "Variant", "default_variants", "parse_variant"]

SAVED = "saved"  # the precision that the file has

# Name: what it decides, and how. A variant decides each of these at most once.
VARIANTS: dict[str, tuple[str, str]] = {
    **{program: ("program", program) for program in ("eager", "graph", "xla")},
    **{precision: ("precision", precision) for precision in (*PRECISIONS, SAVED)},
    **{device: ("device", device) for device in ("cpu", "gpu")},
}


@dataclass(frozen=True)
class Variant:
    """One way to run a model. What its name does not say is graph, float32, and the device of the command line."""

    name: str
    program: Program = "graph"
    precision: str = "float32"
    device: str | None = None

    @property
    def is_reference(self) -> bool:
        """Whether it is what the others are compared with: the float32 graph."""
        return (self.program, self.precision, self.device) == ("graph", "float32", None)

    def options(self, base: Options, source: ModelSource) -> Options:
        """`base` with this variant's changes; the graph of a SavedModel has one precision, its own."""
        fixed = source.format == "savedmodel" and self.precision == "float32"
        precision = None if fixed or self.precision == SAVED else self.precision
        return replace(base, precision=precision, xla=self.program == "xla", eager=self.program == "eager")


def parse_variant(text: str) -> Variant:
    """The variant that `text` names: one word of `VARIANTS`, or several joined by `+`. UsageError for another."""
    decided: dict[str, str] = {}
    for word in text.split("+"):
        if word not in VARIANTS:
            raise _unknown(word)
        aspect, value = VARIANTS[word]
        if aspect in decided:
            raise UsageError(f"the variant {text} has two words for its {aspect}", f"leave {word} out")
        decided[aspect] = value
    program = cast(Program, decided.get("program", "graph"))
    return Variant(text, program, decided.get("precision", "float32"), decided.get("device"))


def _unknown(word: str) -> UsageError:
    close = get_close_matches(word, VARIANTS, n=1)
    known = f"variants are {', '.join(VARIANTS)}, and combinations such as xla+mixed_bfloat16"
    return UsageError(f"unknown variant {word!r}", f"did you mean {close[0]}?" if close else known)


def default_variants(sources: Sequence[ModelSource]) -> tuple[str, ...]:
    """What to try where nobody says it: of several models each one's graph."""
    if len(sources) > 1:
        return ("graph",)
    return ("graph", "xla") if sources[0].format == "savedmodel" else ("graph", "xla", "mixed_bfloat16")
