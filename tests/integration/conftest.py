"""Every integration test leaves Keras's registry of custom classes as it found it, and measures for a moment only."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tfopt.report.progress import silent
from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

from tfopt.workload.device import place  # noqa: E402
from tfopt.workload.machine import known_machine  # noqa: E402


@pytest.fixture(autouse=True)
def custom_classes() -> Iterator[None]:
    """Undo `register_keras_serializable` and `--import` of a test."""
    from keras.src.saving import object_registration as registry

    before = dict(registry.GLOBAL_CUSTOM_OBJECTS), dict(registry.GLOBAL_CUSTOM_NAMES)
    yield
    for current, kept in zip((registry.GLOBAL_CUSTOM_OBJECTS, registry.GLOBAL_CUSTOM_NAMES), before, strict=True):
        current.clear()
        current.update(kept)


@pytest.fixture(autouse=True)
def no_open_scope() -> Iterator[None]:
    """Keras is left with no name scope open: it would be part of the path of every layer to come."""
    from keras.src.backend.common import global_state

    yield
    opened = global_state.get_global_attribute("name_scope_stack") or []
    names = [scope.name for scope in opened]
    opened.clear()
    assert not names


@pytest.fixture(scope="module", autouse=True)
def leftovers_set_aside() -> Iterator[None]:
    """TensorFlow keeps some of the graphs that it ever traced: collections after this file do not look through them."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def short_warm_up() -> Iterator[None]:
    """These tests need a step that runs, not one whose time is stable, a few of it in the trace, and roofs that are
    about right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfopt.workload.timing._WARM_SECONDS", 0.2)
        patch.setattr("tfopt.workload.capture._MIN_MS", 200.0)
        patch.setattr("tfopt.workload.machine._SECONDS", 0.3)
        patch.setattr("tfopt.workload.machine._LONGEST_S", 0.1)
        patch.setattr("tfopt.workload.machine._BUSY", 1.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def measured_machine(cache_folder: None, short_warm_up: None) -> None:
    """The roofs are in the cache before any test, or process that it starts, would measure them."""
    known_machine(place("auto"), False, silent)


@pytest.fixture
def unoptimized() -> Iterator[None]:
    """Graphs run as they were traced: to optimize one costs more than running it a few times."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({**before, "disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({**before, "disable_meta_optimizer": False})
