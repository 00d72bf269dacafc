"""Keras models that are unusual, each tiny: name → builder, and for those that cannot run the words that say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

__all__ = ["ODD", "Odd"]


@dataclass(frozen=True)
class Odd:
    """`build` makes the model. `train` and `infer` are words of the error that each mode must end with (None: it runs);
    `values` what must be said about how the first input was drawn; `note` words that a note must have."""

    build: Callable[[], keras.Model]
    train: str | None = None
    infer: str | None = None
    values: str = ""
    note: str = ""
    options: tuple[tuple[str, Any], ...] = (("batch_size", 4),)


NOTHING_TO_TRAIN = "there is nothing to train .profile it with --mode infer"
_FIXED = ()


def _model(shape: Any, body: Callable[[Any], Any], loss: Any = "mse", optimizer: Any = "sgd", **kind: Any) -> Any:
    """A compiled functional model of one input: `body` of it, flattened into one number where it is a tensor."""
    inputs = keras.Input(shape, **kind)
    model = keras.Model(inputs, body(inputs), name="odd")
    model.compile(optimizer, loss)
    return model


def _head(*stack: Any) -> Callable[[Any], Any]:
    """Layers one after the other, ending in one number per example."""

    def body(x: Any) -> Any:
        for layer in (*stack, layers.Flatten(), layers.Dense(1)):
            x = layer(x)
        return x

    return body


def _dense(size: int = 3, **options: Any) -> Callable[[Any], Any]:
    return lambda x: layers.Dense(size, **options)(x)


def _frozen() -> keras.Model:
    model = _model((4,), _dense())
    model.trainable = False
    return model


def _nan() -> keras.Model:
    model = _model((4,), _dense())
    model.set_weights([np.full(value.shape, np.nan) for value in model.get_weights()])
    return model


def _quantized(mode: str) -> keras.Model:
    model = _model((16,), lambda x: layers.BatchNormalization()(layers.Dense(16, activation="relu")(x)))
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.quantize(mode)
    return model


def _dicts() -> keras.Model:
    first, second = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    outputs = {"p": layers.Dense(1, name="p")(first), "q": layers.Dense(2, name="q")(second)}
    model = keras.Model({"a": first, "b": second}, outputs)
    model.compile("sgd", {"p": "mse", "q": "mae"})
    return model


def _nested() -> keras.Model:
    first, second, third = (keras.Input((2,), name=name) for name in "abc")
    x = layers.Concatenate()([first, second, third])
    return keras.Model([first, {"b": second, "c": third}], {"p": [layers.Dense(1)(x), layers.Dense(1)(x)]})


def _several_losses() -> keras.Model:
    heads = lambda x: [layers.Dense(3, activation="softmax")(x), layers.Dense(1)(x), layers.Dense(2)(x)]  # noqa: E731
    return _model((4,), heads, ["sparse_categorical_crossentropy", "mse", None])


def _deep(x: Any) -> Any:
    for _ in range(60):
        x = layers.Activation("tanh")(layers.Dense(4)(x))
    return x


def _shared() -> Callable[[Any], Any]:
    part = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="twice"), layers.ReLU()], name="shared")
    return lambda x: layers.Dense(1, name="twice")(part(part(part(x))))


def _between(x: Any) -> Any:
    y = layers.Dense(4)(x)
    z = ops.concatenate([ops.tanh(y) * y + ops.softmax(x), y[:, :2]], axis=-1)
    return layers.Dense(1)(z)


def _masked(x: Any) -> Any:
    x = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(x))
    return layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 2)(x, x))


def _attended(x: Any) -> Any:
    x = layers.SeparableConv1D(8, 3, padding="same")(x)
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8))(x)
    x = layers.GroupQueryAttention(4, 4, 2)(x, x)
    x = layers.SpectralNormalization(layers.Dense(4))(x)
    return layers.Dense(1)(layers.RepeatVector(3)(layers.GlobalMaxPooling1D()(x)))


class _Counting(layers.Layer):
    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32")
        self.shapes: list[Any] = []

    def call(self, x: Any) -> Any:
        self.seen.assign_add(1)
        self.shapes.append(x.shape)
        self.add_loss(ops.mean(x**2))
        return x * 1.5


class _Pair(keras.Model):
    """Two networks with an optimizer each, as adversarial ones have."""

    def __init__(self) -> None:
        super().__init__()
        self.maker, self.judge = layers.Dense(4, name="maker"), layers.Dense(1, name="judge")
        self.first, self.second = keras.optimizers.SGD(), keras.optimizers.Adam()

    def call(self, x: Any) -> Any:
        return self.judge(self.maker(x))

    def train_step(self, data: Any) -> Any:
        x = data[0] if isinstance(data, tuple) else data
        for part, optimizer in ((self.judge, self.first), (self.maker, self.second)):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self(x) ** 2)
            weights = part.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def _adversarial() -> keras.Model:
    model = _Pair()
    model(np.zeros((2, 4), "float32"))
    model.compile(loss=None)
    return model


class _TwoArguments(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, first: Any, second: Any) -> Any:
        return self.dense(first) + self.dense(second)


def _two_arguments() -> keras.Model:
    model = _TwoArguments()
    model(np.zeros((2, 3), "float32"), np.zeros((2, 3), "float32"))
    return model


class _NoInput(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.weight = self.add_weight(shape=(3,))

    def call(self, inputs: Any = None) -> Any:
        return self.weight * 2


def _no_input() -> keras.Model:
    model = _NoInput()
    model(None)
    return model


def _embedded(rows: int) -> Callable[[Any], Any]:
    return _head(layers.Embedding(rows, 4))


ODD: dict[str, Odd] = {
    # Weights and what can be trained
    "no weights": Odd(lambda: _model((4,), layers.ReLU()), train=NOTHING_TO_TRAIN),
    "identity": Odd(lambda: _model((4,), lambda x: x), train=NOTHING_TO_TRAIN, note="nothing to compute"),
    "dropout only": Odd(lambda: _model((4,), layers.Dropout(0.5)), train=NOTHING_TO_TRAIN, note="nothing to compute"),
    "frozen": Odd(_frozen, train=NOTHING_TO_TRAIN),
    "one parameter": Odd(lambda: _model((1,), _dense(1, use_bias=False)), options=(("batch_size", 1),)),
    "float64": Odd(lambda: _model((4,), _dense(dtype="float64"), dtype="float64")),
    "mixed precision": Odd(lambda: _model((4,), _dense(dtype="mixed_float16"))),
    "NaN weights": Odd(_nan, note="NaN"),
    "int8": Odd(lambda: _quantized("int8")),
    "float8": Odd(lambda: _quantized("float8")),
    "partly detached": Odd(
        lambda: _model((4,), lambda x: layers.Dense(1)(ops.stop_gradient(layers.Dense(3)(x)))),
        note="Gradients do not exist",
    ),
    "detached": Odd(
        lambda: _model((4,), lambda x: ops.stop_gradient(layers.Dense(3)(x))), train="choose another --loss"
    ),
    "adversarial": Odd(_adversarial),
    # Inputs
    "no inputs": Odd(_no_input, train="--input-shape", infer="--input-shape"),
    "two arguments": Odd(_two_arguments, train="as one argument", infer="as one argument"),
    "int": Odd(lambda: _model((8,), _embedded(11), dtype="int32"), values="integers below 11"),
    "uint8": Odd(lambda: _model((4,), _head(layers.Rescaling(0.1)), dtype="uint8")),
    "float16": Odd(lambda: _model((4,), _dense(), dtype="float16")),
    "bool": Odd(
        lambda: _model((4,), lambda x: layers.Dense(1)(ops.cast(x, "float32")), dtype="bool"), values="boolean"
    ),
    "complex": Odd(lambda: _model((4,), lambda x: layers.Dense(1)(ops.real(x)), dtype="complex64")),
    "string": Odd(
        lambda: _model(
            (3,), _head(layers.StringLookup(vocabulary=["the", "fox"]), layers.Embedding(5, 4)), dtype="string"
        ),
        values="words",
    ),
    "text": Odd(
        lambda: _model(
            (1,),
            _head(layers.TextVectorization(output_sequence_length=6, vocabulary=["the"]), layers.Embedding(5, 4)),
            dtype="string",
        )
    ),
    "hashed": Odd(lambda: _model((3,), _head(layers.Hashing(8), layers.CategoryEncoding(8)), dtype="string")),
    "ragged": Odd(
        lambda: _model(
            (None,),
            lambda x: layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Embedding(7, 3)(x))),
            ragged=True,
            dtype="int32",
        ),
        values="integers below 7, ragged",
    ),
    "sparse": Odd(lambda: _model((50,), _dense(), sparse=True), values="sparse"),
    "dicts": Odd(_dicts),
    "nested structures": Odd(_nested, note="assumed"),
    "fixed batch": Odd(lambda: _model(None, _dense(), batch_shape=(3, 4)), options=_FIXED),
    "free dimensions": Odd(
        lambda: _model((None, None, None), lambda x: ops.mean(x * 2, axis=(1, 2))),
        train=NOTHING_TO_TRAIN,
        note="default length",
        options=(("batch_size", 1),),
    ),
    "no values": Odd(lambda: _model((4, 0), _head()), train="holds no values", infer="holds no values"),
    "no values inside": Odd(
        lambda: _model((4,), lambda x: layers.Dense(2)(x[:, :0])), train="holds no values", infer="holds no values"
    ),
    # Outputs and losses
    "scalar output": Odd(lambda: _model((4,), lambda x: ops.sum(layers.Dense(3)(x))), train="--mode infer"),
    "integer output": Odd(
        lambda: _model((4,), lambda x: ops.argmax(layers.Dense(3)(x), axis=-1)), train="choose another --loss"
    ),
    "several losses": Odd(_several_losses),
    "lambda loss": Odd(lambda: _model((4,), _dense(), lambda true, predicted: ops.mean(true - predicted))),
    "exploding": Odd(lambda: _model((4,), _dense(), optimizer=keras.optimizers.SGD(1e30)), note="learning rate"),
    "losses of layers": Odd(
        lambda: _model((4,), _head(_Counting(), layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l1")))
    ),
    # Shapes of networks
    "unbuilt": Odd(lambda: keras.Sequential([layers.Dense(3)]), train="not built", infer="not built"),
    "deep": Odd(lambda: _model((4,), _deep)),
    "wide": Odd(lambda: _model((4,), lambda x: layers.Add()([layers.Dense(1)(x) for _ in range(80)]))),
    "shared thrice": Odd(lambda: _model((4,), _shared())),
    "ops between": Odd(lambda: _model((4,), _between)),
    "huge embedding": Odd(lambda: _model((4,), _embedded(200_000), dtype="int32"), values="integers below 200000"),
    "named profile": Odd(lambda: _model((4,), _dense(name="profile"))),
    "lambda": Odd(lambda: _model((4,), _head(layers.Lambda(lambda x: x * 2)))),
    # Layers
    "normalization": Odd(lambda: _model((4,), _head(layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4)))),
    "discretized": Odd(
        lambda: _model((3,), _head(layers.Discretization(bin_boundaries=[0.0, 1.0]), layers.Embedding(4, 2)))
    ),
    "pictures": Odd(
        lambda: _model(
            (16, 16, 3), _head(layers.Resizing(8, 8), layers.RandomFlip(), layers.RandomContrast(0.1)), dtype="uint8"
        )
    ),
    "masks": Odd(lambda: _model((6,), _masked, dtype="int32")),
    "stateful": Odd(lambda: _model(None, layers.LSTM(4, stateful=True), batch_shape=(2, 5, 3)), options=_FIXED),
    "wrapped": Odd(
        lambda: _model(
            (5, 3),
            _head(layers.Bidirectional(layers.GRU(2, return_sequences=True)), layers.TimeDistributed(layers.Dense(2))),
        )
    ),
    "attention": Odd(lambda: _model((6, 8), _attended)),
    "channels first": Odd(lambda: _model((3, 8, 8), _head(layers.Conv2D(4, 3, data_format="channels_first")))),
    "volume": Odd(lambda: _model((4, 4, 4, 1), _head(layers.Conv3D(2, 3)))),
    "film": Odd(lambda: _model((3, 6, 6, 1), _head(layers.ConvLSTM2D(2, 3)))),
}
