"""How much op time finds its layer? Every model of the zoo, in graph mode and under XLA.

    python -m bench.attribution [MODEL ...]

`placed` is op time given to a layer, the loss or the optimizer. Goals: at least 94 % in graph, 99 % under XLA; the
rows of a table add up to 1 ± 0.001. Coverage is not correctness: bench and tests of other names check that.
"""

from __future__ import annotations

import argparse

from tfopt.workload.runtime import import_tensorflow

import_tensorflow()

from bench.zoo import ZOO  # noqa: E402
from tfopt.profiling.profile import profile  # noqa: E402

GOALS = {"graph": 0.94, "xla": 0.99}


def main() -> None:
    """Print the coverage of each model and mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(ZOO), metavar="MODEL")
    models = parser.parse_args().models
    print(
        f"{'model':14} {'mode':6} {'placed':>8} {'own':>7} {'inferred':>9} {'nowhere':>8} {'idle':>7}  {'sum':>7}  goal"
    )
    for name in models:
        for mode, goal in GOALS.items():
            record = profile(ZOO[name](), xla=mode == "xla", steps=5, batch_size=16)
            found = record.coverage
            total = sum(row.share for row in record.layers)
            verdict = "met" if found.attributed >= goal and abs(total - 1) <= 0.001 else "missed"
            print(
                f"{name:14} {mode:6} {found.attributed:8.2%} {found.own:7.1%} {found.inferred:9.1%} "
                f"{found.unattributed:8.2%} {found.idle:7.1%}  {total:7.4f}  ≥ {goal:.0%} {verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
