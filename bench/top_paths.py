"""The strongest paths: how long they take on ResNet50, how much memory on VGG16, and for which networks they are told.

    python -m bench.top_paths [--zoo] [--models FOLDER]

`--zoo`: all networks of keras.applications (random weights, their own input sizes), `--models`: saved models too. Each
either has paths, or the layer that prevents it is named. Goals: k = 10 on ResNet50 within 5 s (of CPU time, which does
not depend on what else runs); on VGG16, whose largest kernel has 411 MB, at most 300 MB beyond what the model takes.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import keras

from tfopt.errors import TfoptError
from tfopt.model.applications import application_names, build_application
from tfopt.model.load import load
from tfopt.pathways.top_paths import top_paths

SECONDS, MEGABYTES = 5.0, 300.0


def main() -> None:
    """Print one line per goal, and per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", action="store_true", help="all networks of keras.applications")
    parser.add_argument("--models", type=Path, help="a folder of saved models")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    _, vgg = build_application("VGG16")
    before = _peak()
    top_paths(vgg, 10)
    _goal("memory on VGG16, k = 10", _peak() - before, MEGABYTES, "MB")
    _, resnet = build_application("ResNet50")
    started, cpu = time.perf_counter(), time.process_time()
    top_paths(resnet, 10)
    _goal("ResNet50, k = 10", time.process_time() - cpu, SECONDS, f"CPU s ({time.perf_counter() - started:.1f} s)")
    for name in application_names() if arguments.zoo else ():
        keras.backend.clear_session()
        _row(name, build_application(name)[1])
    for file in sorted(arguments.models.iterdir()) if arguments.models else ():
        try:
            _row(file.name, load(str(file)).model)
        except TfoptError as error:
            print(f"{file.name:34} cannot be loaded: {error.message}")


def _row(name: str, model: Any) -> None:
    started = time.process_time()
    found = top_paths(model, 10)
    took = time.process_time() - started
    said = found.unavailable or f"log10 of the strongest {found.paths[0].log10_weight:.3f}, {len(found.paths)} paths"
    print(f"{name:34} {took:6.1f} CPU s  {'unavailable: ' if found.unavailable else ''}{said}", flush=True)


def _peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _goal(what: str, measured: float, wanted: float, unit: str) -> None:
    verdict = "met" if measured <= wanted else "missed"
    print(f"{what:34} wanted ≤ {wanted:g} measured {measured:.1f} {unit}  {verdict}", flush=True)


if __name__ == "__main__":
    main()
