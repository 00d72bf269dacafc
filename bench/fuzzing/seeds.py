"""Sound files to begin with: the strangers' models and traces where they are, and small fresh ones.

python -m bench.fuzzing.seeds models|traces FOLDER      makes the fresh ones
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench import strangers

_PATTERNS = {"models": ("*.keras", "*.h5"), "traces": ("*.pb",)}


@dataclass(frozen=True)
class Seed:
    """A sound model or trace: `files` by their path below `name`, one of the path '' where it is a single file."""

    name: str
    files: Mapping[str, bytes]

    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """Write `files` under this seed's name; gives the path to hand to the command."""
        for name, content in files.items():
            path = folder / self.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.name


def read_seed(path: Path) -> Seed:
    """The file or folder at `path`."""
    inside = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return Seed(
        path.name, {file.relative_to(path).as_posix() if file != path else "": file.read_bytes() for file in inside}
    )


def real_seeds(what: Literal["models", "traces"]) -> list[Seed]:
    """What strangers made, none where the folder is absent."""
    folder = strangers.folder(what)
    return [read_seed(path) for pattern in _PATTERNS[what] for path in sorted(folder.glob(pattern))]


def _convolutional() -> Any:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3),
            layers.MaxPooling2D(),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def make_models(folder: Path) -> None:
    """Small networks of many kinds of layer, in every format."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    words, numbers = keras.Input((12,), name="words", dtype="int32"), keras.Input((3,), name="numbers")
    hidden = layers.LSTM(6)(layers.Embedding(40, 5)(words))
    joined = layers.Concatenate()([hidden, layers.Dense(4, activation="relu")(numbers)])
    two_inputs = keras.Model([words, numbers], layers.Dense(3, activation="softmax")(joined), name="two_inputs")
    two_inputs.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    convolutional = _convolutional()
    sequence = keras.Input((None, 8))
    attended = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(sequence, sequence) + sequence)
    block = keras.Sequential([keras.Input((8,)), layers.Dense(8, "gelu"), layers.Dense(8)], name="block")
    pooled = layers.GlobalAveragePooling1D()(block(layers.TimeDistributed(block)(attended)))
    nested = keras.Model(sequence, {"score": layers.Dense(1)(pooled), "kind": layers.Dense(2)(pooled)})
    for name, model in (("two_inputs", two_inputs), ("convolutional", convolutional), ("nested", nested)):
        model.save(folder / f"{name}.keras")
    for name, model in (("two_inputs", two_inputs), ("convolutional", convolutional)):
        model.save(folder / f"{name}.h5")
        model.export(folder / name, verbose=False)


def make_traces(folder: Path) -> None:
    """Traces of two steps of a small network: in graph mode, under XLA and op by op."""
    import tfopt

    model = _convolutional()
    with tempfile.TemporaryDirectory() as runs:
        for name, options in (("graph", {}), ("xla", {"xla": True}), ("eager", {"eager": True})):
            record = tfopt.profile(model, batch_size=2, steps=1, trace_steps=2, run_dir=runs, **options)
            shutil.move(Path(record.trace.run_dir or "", record.trace.file or ""), folder / f"{name}.xplane.pb")


if __name__ == "__main__":
    {"models": make_models, "traces": make_traces}[sys.argv[1]](Path(sys.argv[2]))
