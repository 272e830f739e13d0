"""Which learning rate is best at which width, and the power law between them: `python -m bench.lr_transfer SAMPLES.npz`.

SAMPLES.npz is what the stage scaling_samples leaves as train.npz; held_out.npz must lie beside it. The rule in models/scaled.py is what
this printed (docs/scaling.md has the table). Losses, unlike times, do not depend on who else uses the machine.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WIDTHS = (16, 96)
RATES = tuple(1e-3 * 2**power for power in range(6))
NUM_SAMPLES, PASSES = 2000, 2


def main() -> None:
    """Prints a row a width, then the exponent."""
    parser = argparse.ArgumentParser(prog="python -m bench.lr_transfer", description=__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1))
    given = parser.parse_args()
    given.rates = sorted(given.rates)
    print("width  " + "  ".join(f"{rate:8.1e}" for rate in given.rates) + "   best rate", flush=True)
    best = []
    for width in given.widths:
        losses = [float(np.mean([held_out_loss(given.samples, width, rate, seed) for seed in given.seeds])) for rate in given.rates]
        best.append(best_rate(given.rates, losses))
        print(f"{width:5d}  " + "  ".join(f"{loss:8.4f}" for loss in losses) + f"   {best[-1]:.2e}", flush=True)
    if len(best) > 1:
        slope, _ = np.polyfit(np.log(given.widths), np.log(best), 1)
        print(f"best rate ~ width^{slope:.2f}")


def best_rate(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The vertex of the parabola that fits log loss over log rate best; the best rate tried where none opens upwards, or its vertex lies outside."""
    known = np.isfinite(losses)
    curve = np.polyfit(np.log(rates)[known], np.log(losses)[known], 2)
    vertex = math.exp(-curve[1] / (2 * curve[0])) if curve[0] > 0 else math.inf
    return vertex if rates[0] <= vertex <= rates[-1] else rates[int(np.argmin(losses))]


def held_out_loss(samples: Path, width: int, lr: float, seed: int) -> float:
    """Of one run; infinite where it diverged."""
    from motorworks.train.sample_files import load_samples
    from motorworks.train.scaling_run import train_run

    train, held_out = load_samples(samples), load_samples(samples.with_name("held_out.npz"))
    ends = np.array([len(held_out) // 2, len(held_out)])
    train = train.select(np.arange(min(NUM_SAMPLES, len(train))))
    try:
        return train_run(width, train, held_out, ends, passes=PASSES, seed=seed, lr=lr).facts["loss"]
    except FloatingPointError:
        return math.inf


if __name__ == "__main__":
    main()
