"""Writes `assets/docs/scaling.md`: what was measured, what follows from it, and which is which."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benches import machine
from benches.figures import Table, markdown
from benches.spending import SPEC, Spent
from benches.venv import ROOT

CORES = (1, 2, 4, 8, 16)
DEFAULT = 128
"""Width of the default networks."""
GPU, GPU_RATE = "NVIDIA H100 SXM", 67e12
"""A GPU, and its maker's figure of float32 operations in a second, without tensor cores."""
LAUNCH = 5e-6
"""Seconds between two kernels that PyTorch starts one by one; typical, not measured here."""
Costs = Mapping[tuple[int, int], float]
"""Seconds for one unit of work, by size and number of threads."""


@dataclass(frozen=True)
class Update:
    """One gradient update, on average.

    Attributes:
        flop: Operations of its matrix products.
        launches: Kernels it would start on a GPU.
    """

    flop: float
    launches: float

    @property
    def on_gpu(self) -> float:
        """Seconds it would take at least: arithmetic and launches overlap."""
        return max(self.flop / GPU_RATE, self.launches * LAUNCH)


@dataclass(frozen=True)
class Trained:
    """A training of one algorithm.

    Attributes:
        spent: What it spent while it was alone.
        pair: How many times as much two at a time get done.
    """

    spent: Spent
    pair: float

    @property
    def learner(self) -> float:
        """Processor time of the learner's thread for a world-step [s]."""
        return self.spent.learner / self.spent.steps

    @property
    def physics(self) -> float:
        """Processor time of the thread of physics for a world-step [s]."""
        return self.spent.physics / self.spent.steps

    @property
    def overlap(self) -> float:
        """How much faster two threads are than one at best."""
        return (self.learner + self.physics) / max(self.learner, self.physics)

    def with_learner(self, faster: float) -> float:
        """How much faster it is at best with a learner that is so much faster."""
        before = max(self.learner, self.physics)
        return before / max(self.learner / faster, self.physics)

    def enough(self, steps: Costs) -> int | None:
        """Return the worlds from which on physics outruns the learner; None if it never does.

        A vector step of n worlds costs a + b n: both follow from the least and the most worlds measured.
        """
        few, many = min(steps)[0], max(steps)[0]
        a = max((steps[few, 1] - steps[many, 1]) / (1 / few - 1 / many), 0.0)
        b = steps[many, 1] - a / many
        return None if self.learner <= b else max(1, math.ceil(a / (self.learner - b)))


@dataclass(frozen=True)
class Found:
    """What was measured.

    Attributes:
        trained: By algorithm, the default first.
        steps: Of a world-step, by worlds.
        updates: Of an update, by width.
        counted: What an update consists of, by width.
    """

    trained: Mapping[str, Trained]
    steps: Costs
    updates: Costs
    counted: Mapping[int, Update]


def written(found: Found) -> str:
    """Return the page."""
    gain = found.updates[DEFAULT, 1] / found.counted[DEFAULT].on_gpu
    algorithm, training = next(iter(found.trained.items()))
    return TEMPLATE.format(
        machine=machine.in_words(machine.describe()),
        spec=SPEC.relative_to(ROOT),
        trainings=markdown(by_training(found)),
        algorithm=algorithm,
        cores=markdown(by_cores(found, training)),
        gpu=GPU,
        gpu_rate=GPU_RATE / 1e12,
        launch=1e6 * LAUNCH,
        gpu_table=markdown(by_gpu(found)),
        gain=gain,
        trained=training.with_learner(gain),
    )


def by_training(found: Found) -> Table:
    """Return the table of trainings."""
    return [
        {
            "learner": name,
            "learner [us]": f"{1e6 * training.learner:.0f} m",
            "physics [us]": f"{1e6 * training.physics:.1f} m",
            "share of physics": f"{training.spent.physics / training.spent.seconds():.1%} m",
            "both threads overlapped": f"{training.overlap:.2f} x c",
            "learners that a core of physics feeds": f"{training.learner / training.physics:.1f} c",
            "worlds that suffice": f"{training.enough(found.steps) or 'none do'} c",
            "two trainings at a time": f"{training.pair:.2f} x m",
        }
        for name, training in found.trained.items()
    ]


def by_cores(found: Found, training: Trained) -> Table:
    """Return the table of speed by number of cores."""
    wide = max(found.updates)[0]
    return [
        {
            "cores": str(cores),
            "one training": "1" if cores == 1 else f"{training.overlap:.2f} c",
            "seeds": "1" if cores == 1 else f"{cores / 2 * training.pair:.2f} {'c' if cores > 2 else 'm'}",
            **{
                f"physics, {n:,} worlds": speedup(found.steps, n, cores)
                for n in sorted({n for n, _ in found.steps})
            },
            f"updates, width {wide}": speedup(found.updates, wide, cores),
        }
        for cores in CORES
    ]


def speedup(costs: Costs, size: int, cores: int) -> str:
    """Return how much faster some cores are than one, and whether that is measured or computed."""
    two = costs[size, 1] / costs[size, 2]
    if cores <= 2:
        return "1" if cores == 1 else f"{two:.2f} m"
    return f"{amdahl(two, cores):.1f} c" if two > 1 else "no gain c"


def amdahl(two: float, cores: int) -> float:
    """Return how much faster so many cores are, from how much faster two are (Amdahl 1967)."""
    serial = min(max(2 / two - 1, 0.0), 1.0)
    return 1 / (serial + (1 - serial) / cores)


def by_gpu(found: Found) -> Table:
    """Return the table of an update on the CPU and on a GPU."""
    return [
        {
            "width": str(width),
            "CPU, 1 thread [us]": f"{1e6 * found.updates[width, 1]:.0f} m",
            "2 threads": f"{found.updates[width, 1] / found.updates[width, 2]:.2f} x m",
            "MFLOP": f"{update.flop / 1e6:.0f} c",
            "GPU, arithmetic [us]": f"{1e6 * update.flop / GPU_RATE:.0f} c",
            "kernels": f"{update.launches:.0f} c",
            "GPU, launches [us]": f"{1e6 * update.launches * LAUNCH:.0f} c",
            "GPU against 1 thread": f"{found.updates[width, 1] / update.on_gpu:.1f} x c",
        }
        for width, update in found.counted.items()
    ]


TEMPLATE = """\
# More hardware

Written by `tools/bench hardware`. What is marked *m* is measured, a median of paired rounds; what is marked
*c* is computed from that by the formula given, and has not been run.
Machine: {machine}.

## One training

`{spec}` with latency, noise, and four more kinds of terms; processor time for a world-step:

{trainings}

Learner and physics run beside each other, in a thread each. So at best a training is (learner + physics) /
max(learner, physics) as fast as on one core, and while the learner takes longer, neither a third core nor
faster physics makes *one* training any faster. A core of physics feeds learner / physics learners. A vector
step costs a + b n for n worlds (from the fewest and the most worlds below), so physics outruns the learner
from n = a / (learner - b) worlds on; more worlds than suffice change what is learned, not how fast.

## More cores

How many times as much gets done; *one training* and *seeds* with `{algorithm}`.

{cores}

- *One training*: as above. It takes two cores, however many there are.
- *Seeds*: of several trainings, against one alone. Two are measured on two cores; cores / 2 pairs do as many
  times that, if memory keeps up. **This is what many cores are for**: seeds, baselines and sweeps.
- *Physics* alone (evaluation, or an environment for a learner of your own) and *updates*: Amdahl's law,
  1 / (s + (1 - s) / cores), whose serial share s is 2 / (speed-up on two) - 1. A training gives either one
  thread; `threads=` of `gym.make_vec` gives physics more.

## A GPU

**None is used.** Learners compute on the CPU, and physics on a GPU would need MuJoCo Warp, which is not
supported. What a GPU could bring to an update (`sac`, batch 256) that ran there as it is: it lasts at least
as long as its arithmetic, FLOP / {gpu_rate:.0f} TFLOP/s ({gpu}; its maker's figure for float32), and as its
launches, kernels x {launch:.0f} us (typical of PyTorch; assumed). Both are counted from one update's shapes.

{gpu_table}

At the default width that is at most {gain:.1f} x *c* for updates, and {trained:.1f} x *c* for a training
whose physics stays on the CPU: max(learner, physics) / max(learner / {gain:.1f}, physics). Launches bound
small networks; wide ones, or updates captured as CUDA graphs, would gain more.

## A cluster

Runs are independent: a folder each, no server, nothing shared. So m machines do m times as many (*c*).

```bash
sim2real train SPEC --seed $SEED --out $RUNS/s$SEED      # a job: two cores, or four with its baseline
seq 0 7 | xargs -P 8 -I N sim2real train SPEC --seed N --out runs/sN --set train.baseline=false  # 16 cores
```

A job that was killed goes on with `sim2real train --resume $RUNS/s$SEED`. What there is not: one training
over several machines, neither of its worlds nor of its gradients.
"""
