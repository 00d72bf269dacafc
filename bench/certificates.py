"""Are path weights consistent on every network of `keras.applications`, and on models of strangers?

    python -m bench.certificates [--only NAME ...] [--models [FOLDER]] [--normalised]

Each network has random weights, BatchNormalization statistics and biases, the least input that it takes, and a process
of its own. Goals: every certificate is met, linear ones (Euler, additivity, conservation) within 1e-8.
`--models`: the models in a folder (TFOPT_REAL_MODELS) instead. `--normalised`: float32 against float64, shares of
variables within 1e-4 of the total on ResNet50 and EfficientNetB7 (or `--only`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from bench import strangers  # noqa: E402
from tfopt.errors import TfoptError  # noqa: E402
from tfopt.model.applications import application_names  # noqa: E402
from tfopt.model.load import load  # noqa: E402
from tfopt.pathways.certificates import LINEAR  # noqa: E402
from tfopt.pathways.path_weights import path_weights  # noqa: E402

LEAST_SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
OTHERS = 32
LINEAR_NAMES = ("euler", "additivity", "conservation")
SHARES_GOAL = 1e-4
NORMALISED = ("ResNet50", "EfficientNetB7")
_PROCESS_SECONDS = 3600


def main() -> None:
    """Print one line per model, then whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="names of networks or files")
    parser.add_argument("--models", nargs="?", const=str(strangers.folder("models")), help="a folder of saved models")
    parser.add_argument("--normalised", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_compared(arguments.one) if arguments.normalised else _row(arguments.one)))
        return
    names = _names(arguments)
    print(f"{'model':30} {'log10 R':>9} {'euler':>8} {'addit.':>8} {'conserv.':>8} {'negative':>8} {'s':>6}  rules")
    rows = [_in_process(name, arguments.normalised) for name in names]
    met = sum(row["met"] for row in rows)
    verdict = "met" if met == len(rows) else "missed"
    print(f"wanted {len(rows)} consistent or refused with a reason, measured {met}: {verdict}")


def _names(arguments: argparse.Namespace) -> list[str]:
    if arguments.models:
        folder = Path(arguments.models)
        if not folder.is_dir():
            raise SystemExit(f"{folder} is absent: name a folder, or set {strangers.VARIABLES['models']}")
        names = [str(file) for file in sorted(folder.iterdir()) if file.suffix != ".md"]
    else:
        names = list(NORMALISED if arguments.normalised and not arguments.only else application_names())
    return [name for name in names if not arguments.only or name.rpartition("/")[2] in arguments.only]


def _in_process(name: str, normalised: bool) -> dict[str, Any]:
    """So that each network's memory is given back."""
    command = [sys.executable, "-m", "bench.certificates", "--one", name, *(["--normalised"] if normalised else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROCESS_SECONDS)
    lines = done.stdout.splitlines()
    row = json.loads(lines[-1]) if done.returncode == 0 and lines else {"met": False, "text": done.stderr[-300:]}
    print(f"{name.rpartition('/')[2]:30} {row['text']}", flush=True)
    return dict(row)


def randomised(model: Any, seed: int = 7) -> Any:
    """Biases and BatchNormalization's weights and statistics drawn, so that none of them is trivial."""
    draw = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(draw.uniform(0.5, 2, variable.shape) * (1 if variable.name != "gamma" else -1))
        elif variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(draw.normal(0, 0.5, variable.shape))
    return model


def network(name: str) -> Any:
    """A network of keras.applications at its least size."""
    size = LEAST_SIZE.get(name, OTHERS)
    return randomised(getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10))


def _row(name: str) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        report = path_weights(load(name).model if "/" in name else network(name))
    except TfoptError as error:
        return {"met": True, "text": f"refused: {error.message}"}
    values = {each.name: each.value for each in report.certificates}
    linear = [values.get(each) for each in LINEAR_NAMES]
    failed = [f"{each.name} ({each.layer})" for each in report.certificates if not each.met]
    rules = sorted({reason for layer in report.layers for reason in layer.reasons})
    shown = " ".join(
        f"{'-' if each is None else format(each, '8.0e'):>8}" for each in [*linear, values.get("non-negativity")]
    )
    text = f"{report.log10_total or float('nan'):9.2f} {shown} {time.perf_counter() - start:6.1f}  {', '.join(rules)}"
    as_is = sorted({layer.type for layer in report.layers if layer.status == "as is"})
    if as_is:
        text += f"; as is: {', '.join(as_is)}"
    if report.dtype != "float64":
        text += f"; {report.dtype}"
    if failed:
        text += f"; NOT CERTIFIED: {', '.join(failed)}"
    within = all(each is not None and each <= LINEAR["float64"] for each in linear)
    return {"met": report.consistent and (within or report.dtype != "float64"), "text": text}


def _compared(name: str) -> dict[str, Any]:
    """Normalised float32 against float64."""
    model = network(name)
    high, low = (path_weights(model, dtype=dtype) for dtype in ("float64", "float32"))
    pairs = [(a.share, b.share) for a, b in zip(high.variables, low.variables, strict=True)]
    pairs += [(a.share, b.share) for a, b in zip(high.edges, low.edges, strict=True)]
    worst = max(abs(a - b) / max(abs(a), abs(b)) for a, b in pairs if a or b)
    met = worst <= SHARES_GOAL and low.normalised and low.consistent
    text = f"log10 R {high.log10_total:.6f} {low.log10_total:.6f}, worst relative difference of a share {worst:.1e}"
    return {"met": met, "text": f"{text}, wanted {SHARES_GOAL:.0e}: {'met' if met else 'missed'}"}


if __name__ == "__main__":
    main()
