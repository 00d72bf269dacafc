"""Small Keras models of many kinds, for benches and tests: name → builder of a compiled model.

All take the default batch; weights are random. `batch(model, size)` draws inputs and targets for one.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

__all__ = ["ZOO", "batch"]

LOSS = "sparse_categorical_crossentropy"


def _compiled(model: keras.Model) -> keras.Model:
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def mlp() -> keras.Model:
    """Dense layers and Dropout."""
    inputs = keras.Input((256,))
    x = inputs
    for number in range(3):
        x = layers.Dense(512, activation="relu", name=f"fc_{number}")(x)
        x = layers.Dropout(0.3, name=f"drop_{number}")(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="mlp"))


def cnn() -> keras.Model:
    """Convolutions with separate activations, BatchNormalization and pooling."""
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for number, filters in enumerate((32, 64, 64)):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"bn_{number}")(x) if number else x
        x = layers.ReLU(name=f"act_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="cnn"))


def transformer() -> keras.Model:
    """Two encoder blocks with MultiHeadAttention and keras.ops additions between layers."""
    inputs = keras.Input((64,), dtype="int32", name="tokens")
    x = layers.Embedding(1000, 64, name="embedding")(inputs)
    for number in range(2):
        attended = layers.MultiHeadAttention(4, 16, name=f"attention_{number}")(x, x)
        x = layers.LayerNormalization(name=f"norm_a_{number}")(x + attended)
        hidden = layers.Dense(256, activation="gelu", name=f"ffn_in_{number}")(x)
        x = layers.LayerNormalization(name=f"norm_b_{number}")(x + layers.Dense(64, name=f"ffn_out_{number}")(hidden))
    x = layers.GlobalAveragePooling1D()(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="transformer"))


def rnn() -> keras.Model:
    """LSTM, then a bidirectional GRU."""
    inputs = keras.Input((20, 41))
    x = layers.LSTM(64, return_sequences=True, name="lstm")(inputs)
    x = layers.Bidirectional(layers.GRU(32), name="both_ways")(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="rnn"))


def lstm() -> keras.Model:
    """Two LSTMs."""
    return _recurrent(layers.LSTM, "lstm")


def gru() -> keras.Model:
    """Two GRUs."""
    return _recurrent(layers.GRU, "gru")


def _recurrent(layer: type[layers.Layer], name: str) -> keras.Model:
    inputs = keras.Input((20, 41))
    x = layer(128, return_sequences=True, name=f"{name}_0")(inputs)
    x = layer(128, return_sequences=True, name=f"{name}_1")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name=f"{name}_net"))


def captioner() -> keras.Model:
    """Convolutions, whose output is read line by line by an LSTM."""
    inputs = keras.Input((48, 48, 3))
    x = inputs
    for number, filters in enumerate((32, 64, 64)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{number}")(x)
    x = layers.Reshape((24, -1), name="lines")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Dense(128, name="narrow")(x)
    x = layers.LSTM(128, return_sequences=True, name="lstm")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="captioner"))


def embeddings(skip: str = "") -> keras.Model:
    """A recommender: four tables of 20,000 × 64 numbers, a small head; `skip` is a pattern of tables to leave out."""
    inputs = keras.Input((4, 8), dtype="int32", name="ids")
    names = [f"table_{number}" for number in range(4)]
    kept = [(number, name) for number, name in enumerate(names) if not fnmatch.fnmatchcase(name, skip)]
    looked_up = [layers.Embedding(20_000, 64, name=name)(inputs[:, number]) for number, name in kept]
    x = layers.Dense(64, activation="relu", name="mix")(layers.Add(name="sum")(looked_up))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="recommender"))


def nested_shared() -> keras.Model:
    """A nested Sequential and a Dense layer, both used twice."""
    shared = layers.Dense(256, activation="relu", name="shared")
    block = keras.Sequential([keras.Input((256,)), layers.Dense(512, "relu"), layers.Dense(256)], name="block")
    inputs = keras.Input((128,))
    x = layers.Dense(256, name="entry")(inputs)
    for _ in range(2):
        x = block(shared(x))
    return _compiled(keras.Model(inputs, layers.Dense(10, name="logits")(x), name="nested"))


@keras.saving.register_keras_serializable("zoo")
class Subclassed(keras.Model):
    """A model whose `call` does part of the work itself, between its layers."""

    def __init__(self, skip: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.skip = skip
        self.blocks = [layers.Dense(256, activation="tanh", name=f"dense_{number}") for number in range(3)]
        self.head = layers.Dense(10, name="logits")

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = inputs
        for block in self.blocks:
            y = x if fnmatch.fnmatchcase(block.name, self.skip) else block(x)
            x = y * 0.5 + keras.ops.sin(x)
        return self.head(x)


def subclassed(skip: str = "") -> keras.Model:
    """A subclassed model, built for inputs of 256 features; `skip` is a pattern of blocks that it does not apply."""
    model = Subclassed(skip=skip, name="subclassed")
    model(np.zeros((1, 256), "float32"))
    return _compiled(model)


def unet() -> keras.Model:
    """A small 2-D U-Net: convolutions, pooling, upsampling, concatenations."""
    inputs = keras.Input((32, 32, 3))
    skips, x = [], inputs
    for number, filters in enumerate((16, 32)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"down_{number}")(x)
        skips.append(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="widen")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="bottom")(x)
    for number, skip in enumerate(reversed(skips)):
        x = layers.Concatenate(name=f"join_{number}")([layers.UpSampling2D(name=f"up_{number}")(x), skip])
        x = layers.Conv2D(skip.shape[-1], 3, padding="same", activation="relu", name=f"merge_{number}")(x)
        x = layers.Conv2D(skip.shape[-1], 3, padding="same", activation="relu", name=f"refine_{number}")(x)
    model = keras.Model(inputs, layers.Conv2D(10, 1, name="logits")(x), name="unet")
    return _compiled(model)


def mobilenetv2() -> keras.Model:
    """MobileNetV2 at 96 px."""
    return _application(keras.applications.MobileNetV2)


def resnet50() -> keras.Model:
    """ResNet50 at 96 px."""
    return _application(keras.applications.ResNet50)


def _application(builder: Callable[..., keras.Model]) -> keras.Model:
    model = builder(weights=None, input_shape=(96, 96, 3))
    model.compile("adam", LOSS)
    return model


ZOO: dict[str, Callable[..., keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    "transformer": transformer,
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "nested_shared": nested_shared,
    "subclassed": subclassed,
    "unet": unet,
    "embeddings": embeddings,
    "captioner": captioner,
    "mobilenetv2": mobilenetv2,
    "resnet50": resnet50,
}


def batch(model: keras.Model, size: int, seed: int = 0) -> tuple[Any, Any]:
    """Inputs and class targets for a model of the zoo, as numpy arrays."""
    rng = np.random.default_rng(seed)
    shape = model.inputs[0].shape[1:] if model.inputs else (256,)
    if model.inputs and "int" in model.inputs[0].dtype:
        x = rng.integers(0, 1000, (size, *shape)).astype("int32")
    else:
        x = rng.standard_normal((size, *shape)).astype("float32")
    output = model.compute_output_shape((size, *shape))
    return x, rng.integers(0, output[-1], output[:-1])
