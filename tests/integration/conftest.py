"""Every integration test leaves Keras's registry of custom classes as it found it, and measures for a moment only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()


@pytest.fixture(autouse=True)
def custom_classes() -> Iterator[None]:
    """Undo `register_keras_serializable` and `--import` of a test."""
    from keras.src.saving import object_registration as registry

    before = dict(registry.GLOBAL_CUSTOM_OBJECTS), dict(registry.GLOBAL_CUSTOM_NAMES)
    yield
    for current, kept in zip((registry.GLOBAL_CUSTOM_OBJECTS, registry.GLOBAL_CUSTOM_NAMES), before, strict=True):
        current.clear()
        current.update(kept)


@pytest.fixture(scope="session", autouse=True)
def short_warm_up() -> Iterator[None]:
    """These tests need a step that runs, not one whose time is stable, and roofs that are about right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfopt.workload.timing._WARM_SECONDS", 0.3)
        patch.setattr("tfopt.workload.machine._SECONDS", 0.3)
        patch.setattr("tfopt.workload.machine._LONGEST_S", 0.1)
        yield
