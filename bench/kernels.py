"""What advice takes for granted about kernels: XLA against TensorFlow's own on CPU, odd dimensions, groups, loops.

    python -m bench.kernels [--markdown]

Each line is one construct in two ways, the least of several runs in turns, by CPU time (other work on the machine does
not add to it). `tfopt/profiling/advice` has the constants that follow.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

ROUNDS = 5
Row = tuple[str, str, float, str, float, str]  # construct, one way, ms, another way, ms, what the other takes per unit


def least(*calls: Callable[[], Any]) -> list[float]:
    """CPU milliseconds of each call, the least of several in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS + 2):
        for call, found in zip(calls, times, strict=True):
            started = time.process_time()
            tf.nest.map_structure(lambda tensor: tensor.numpy(), call())
            if number > 1:
                found.append((time.process_time() - started) * 1e3)
    return [min(found) for found in times]


def both(function: Callable[..., Any], *arguments: Any) -> list[float]:
    """Of a function as a graph, and compiled by XLA."""
    graph, xla = (tf.function(function, jit_compile=jit) for jit in (False, True))
    return least(lambda: graph(*arguments), lambda: xla(*arguments))


def gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    def both_ways(*arguments: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            result = function(*arguments)
            loss = tf.reduce_sum(result * result)
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, arguments)]

    return both_ways


def depthwise() -> Iterator[Row]:
    for shape, stride in (((16, 48, 48, 96), 1), ((16, 14, 14, 256), 1), ((16, 28, 28, 144), 2)):
        x, kernel = tf.random.normal(shape), tf.random.normal((3, 3, shape[-1], 1))

        def run(x: Any, kernel: Any, stride: int = stride) -> Any:
            return tf.nn.depthwise_conv2d(x, kernel, (1, stride, stride, 1), "SAME")

        macs = math.prod(shape) * 9 // stride**2
        for what, function in (("forward", run), ("forward + backward", gradients(run))):
            graph, xla = both(function, x, kernel)
            name = f"depthwise 3×3 {'×'.join(map(str, shape))}, stride {stride}, {what}"
            yield name, "graph", graph, "XLA", xla, f"{xla * 1e6 / macs:.1f} ns per forward multiplication"


def max_pool() -> Iterator[Row]:
    for shape, size in (((16, 64, 64, 32), 2), ((16, 64, 64, 32), 3), ((8, 112, 112, 64), 2)):
        x = tf.random.normal(shape)

        def run(x: Any, size: int = size) -> Any:
            return tf.nn.max_pool2d(x, size, 2, "SAME")

        graph, xla = both(gradients(run), x)
        name = f"max-pool {size}×{size} {'×'.join(map(str, shape))}, forward + backward"
        yield name, "graph", graph, "XLA", xla, f"{xla * 1e6 / math.prod(shape):.1f} ns per input"


def random() -> Iterator[Row]:
    """Dropouts of different shapes, and of one."""
    for widths in ((512, 384, 256), (512, 512, 512)):
        numbers = 64 * sum(widths)

        def masked(seed: Any, widths: tuple[int, ...] = widths) -> Any:
            drawn = [tf.random.stateless_uniform((64, width), seed + number) for number, width in enumerate(widths)]
            return [tf.where(values > 0.3, 1.0, 0.0) for values in drawn]

        graph, xla = both(masked, tf.constant([1, 2]))
        name = f"random masks 64×{', 64×'.join(map(str, widths))}"
        yield name, "graph", graph, "XLA", xla, f"{xla * 1e6 / numbers:.0f} ns per number"


def products() -> Iterator[Row]:
    product = tf.function(tf.matmul)
    for dtype in ("float16", "bfloat16"):
        for size in (1024, 1001):
            a, b = (tf.random.normal((256, size)), tf.random.normal((size, size)))
            low = tf.cast(a, dtype), tf.cast(b, dtype)
            full, half = least(partial(product, a, b), partial(product, *low))
            yield f"product 256×{size}×{size}", "float32", full, dtype, half, f"{half / full:.2f} ×"


def groups() -> Iterator[Row]:
    for number in (4, 32):
        calls = [layer_step((24, 24, 64), layers.Conv2D(64, 3, groups=count)) for count in (1, number)]
        dense, grouped = least(*calls)
        yield f"Conv2D 64 → 64, {number} groups", "1 group", dense, "grouped", grouped, f"{grouped / dense:.0f} ×"


def loops() -> Iterator[Row]:
    for steps, units in ((10, 32), (20, 64), (50, 128)):
        calls = [layer_step((steps, 32), layers.LSTM(units, unroll=unroll)) for unroll in (False, True)]
        loop, unrolled = least(*calls)
        yield f"LSTM({units}), {steps} steps", "loop", loop, "unroll", unrolled, f"{1 - unrolled / loop:.0%} saved"


def layer_step(shape: tuple[int, ...], layer: Any) -> Callable[[], Any]:
    """Forward and backward of one layer in a graph, on 16 examples."""
    model, x = keras.Sequential([keras.Input(shape), layer]), tf.random.normal((16, *shape))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    return lambda: run(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/advice.md")
    markdown = parser.parse_args().markdown
    if markdown:
        print("| construct | one way | another | factor | |\n| :-- | --: | --: | --: | :-- |")
    for bench in (depthwise, max_pool, random, products, groups, loops):
        for name, one, one_ms, other, other_ms, unit in bench():
            cells = (name, f"{one} {one_ms:.2f} ms", f"{other} {other_ms:.2f} ms", f"{other_ms / one_ms:.1f} ×", unit)
            print(f"| {' | '.join(cells)} |" if markdown else "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
