"""A small trained run with targets, for tests of what comes after training."""

from pathlib import Path

from sim2real.progress import Progress
from sim2real.runs import Run
from sim2real.train import start, train_part

SPEC = """\
env: Hopper-v5
randomize:
  torso: {type: mass, select: torso, scale: [0.6, 1.4]}
  delay: {type: action_latency, set: [0 ms, 20 ms]}
  looks: {type: visuals, colors: 0.3, lights: 0.2, camera: {position: 2 cm, angle: 3 deg}}
targets:
  heavy: {torso: 2.5}
  laggy: {delay: 60 ms}
train:
  steps: 600
  num_envs: 4
  agent: {actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100}
evaluate: {episodes: 4, shots: [0, 1, 2]}
"""


def trained(folder: Path, text: str = SPEC, alone: bool = False) -> Run:
    """Train a spec in a folder, and its baseline if it has one and `alone` is false, in this process."""
    path = folder / "small.yaml"
    path.write_text(text)
    run = start(path, (), folder / "run")
    train_part(run, "policy", Progress.silent())
    if not alone and "baseline: false" not in text:
        train_part(run, "baseline", Progress.silent())
    return run
