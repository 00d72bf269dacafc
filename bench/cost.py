"""Do the closed forms give what was published, and what TensorFlow's graphs hold?

    python -m bench.cost [NETWORK ...]

For each network of keras.applications at 224 px: multiply-accumulates of a forward pass of one image against the
published number (goal: within 2 %), and operations of forward and backward together against those of the gradient
graph, counted op by op (goal: within 3 %). Nothing is run. The CPU time is that of counting, the model being built.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfopt.model.cost import layer_costs  # noqa: E402
from tfopt.model.cost.counting import OpCounter  # noqa: E402

# Multiply-accumulates of one image at 224 px, as papers report them.
PUBLISHED = {
    "MobileNet": 569e6,
    "MobileNetV2": 300e6,
    "ResNet50": 3.86e9,
    "VGG16": 15.5e9,
    "DenseNet121": 2.87e9,
    "EfficientNetB0": 0.39e9,
}
GOAL_MACS, GOAL_TRAINING = 0.02, 0.03


def main() -> None:
    """Print wanted and measured numbers of each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(PUBLISHED), metavar="NETWORK")
    for name in parser.parse_args().networks:
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None)
        image = tf.zeros((1, 224, 224, 3))
        started = time.process_time()
        rows = layer_costs(model, image)
        seconds = time.process_time() - started
        macs = sum(row.macs for row in rows)
        _line(f"{name} MACs", PUBLISHED[name], macs, GOAL_MACS)
        _line(f"{name} forward + backward", _graph_flops(model, image), sum(row.flops for row in rows), GOAL_TRAINING)
        unknown = sorted({row.type for row in rows if row.source != "formula"})
        print(f"{'':32} {seconds:.2f} CPU s; layers without a formula: {', '.join(unknown) or 'none'}", flush=True)


def _graph_flops(model: Any, image: Any) -> int:
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
        return outputs, tape.gradient(outputs, model.trainable_variables, output_gradients=tf.ones_like(outputs))

    return OpCounter().graph(tf.function(step, autograph=False).get_concrete_function(image).graph).flops


def _line(what: str, wanted: float, measured: float, goal: float) -> None:
    difference = measured / wanted - 1
    verdict = "met" if abs(difference) <= goal else "missed"
    print(f"{what:32} wanted {wanted:.4g}  measured {measured:.4g}  {difference:+.2%}  ± {goal:.0%} {verdict}")


if __name__ == "__main__":
    main()
