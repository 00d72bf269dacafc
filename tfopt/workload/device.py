"""Where the step runs: `auto`, `cpu`, `gpu[:N]` or `tpu[:NAME]`.

GPU and TPU follow TensorFlow's API (`tf.device`, `tf.distribute.TPUStrategy`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tfopt.errors import InputError, UsageError

__all__ = ["Placement", "place"]


@dataclass(frozen=True)
class Placement:
    """A device: `name` to show, `kind` (CPU, GPU, TPU), `scope()` to load and run in, `run` to call a step there."""

    name: str
    kind: str
    scope: Callable[[], AbstractContextManager[Any]]
    run: Callable[[Callable[..., Any], tuple[Any, ...]], Any]


def place(device: str) -> Placement:
    """The placement that `device` names. Raises UsageError for another word, InputError where it is not there."""
    match = re.fullmatch(r"(auto|cpu|gpu|tpu)(?::(.*))?", device.strip().lower())
    if match is None:
        raise UsageError(f"unknown device {device!r}", "use auto, cpu, gpu, gpu:N, tpu or tpu:NAME")
    kind, which = match[1], match[2]
    if kind == "auto":
        kind = "gpu" if _devices("GPU") else "cpu"
    return _KINDS[kind](which)


def _devices(kind: str) -> list[Any]:
    import tensorflow as tf

    return list(tf.config.list_physical_devices(kind))


def _missing(wanted: str) -> InputError:
    names = ", ".join(f"{device.device_type.lower()}:{device.name.rsplit(':', 1)[-1]}" for device in _devices_all())
    seen = f"TensorFlow sees {names or 'no device at all'}"
    return InputError(f"there is no {wanted} on this machine", f"{seen}; tfopt doctor tells why")


def _devices_all() -> list[Any]:
    import tensorflow as tf

    return list(tf.config.list_physical_devices())


def _local(kind: str, which: str | None) -> Placement:
    import tensorflow as tf

    number = which or "0"
    if not number.isdecimal():
        raise UsageError(f"{kind.lower()}:{which} is not a device", f"give its number, as in {kind.lower()}:0")
    if int(number) >= len(_devices(kind)):
        raise _missing(f"{kind.lower()}:{number}")
    path = f"/{kind}:{number}"

    def run(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        with tf.device(path):
            return step(*arguments)

    return Placement(kind if number == "0" else f"{kind}:{number}", kind, lambda: tf.device(path), run)


def _tpu(which: str | None) -> Placement:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=which or "")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, OSError) as error:
        raise _missing(f"TPU {which}" if which else "TPU") from error
    strategy = tf.distribute.TPUStrategy(resolver)

    def run(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return strategy.run(step, args=arguments)

    return Placement(f"TPU:{which}" if which else "TPU", "TPU", strategy.scope, run)


_KINDS: dict[str, Callable[[str | None], Placement]] = {
    "cpu": lambda which: _local("CPU", which),
    "gpu": lambda which: _local("GPU", which),
    "tpu": _tpu,
}
