"""Small runs on the SO-101 to export."""

from sim2real.runs import Run
from tests.small import trained

SPEC = """\
env: SO101Reach-v0
randomize:
  gains: {{type: kp, select: ".*", scale: [0.5, 1.0]}}
train:
  algorithm: {algorithm}
  baseline: false
  steps: {steps}
  num_envs: {worlds}
  agent: {{{agent}}}
"""
SAC = "actor_hidden: [16], critic_hidden: [16], batch_size: 16, learning_starts: 100"
TABLES = {
    "fast_sac": SAC,
    "sac": SAC,
    "crossq": SAC,
    "asymmetric": f"{SAC}, history: 2",
    "history_sac": f"{SAC}, history: 3",
    "up_osi": f"{SAC}, history: 3, policy_steps: 150, estimator_hidden: [16]",
    "rma": f"{SAC}, history: 3, policy_steps: 150, estimator_hidden: [16]",
    "universal": SAC,
    "soft_q": "learning_starts: 100, batch_size: 16, actor_hidden: [16], critic_hidden: [16]",
    "pets": "learning_starts: 100, candidates: 4, elites: 2, iterations: 1, horizon: 2",
    "recurrent_sac": "actor_hidden: [16], critic_hidden: [16], units: 8, batch_size: 8, learning_starts: 100",
    "rl2": "units: 8, hidden: [16]",
    "online_distillation": f"hidden: [16], updates: 20, settings: {{{SAC}}}",
    "maml": "hidden: [16]",
    "reptile": "hidden: [16]",
}
"""Settings by algorithm."""


def made(folder, algorithm, steps=300) -> Run:
    """Train a little; all but `distillation`, which has a teacher, need nothing else."""
    if algorithm == "distillation":
        (folder / "teacher").mkdir()
        TABLES["distillation"] = f"hidden: [16], teachers: [{made(folder / 'teacher', 'fast_sac').path}]"
    worlds = 40 if algorithm in ("maml", "reptile") else 8
    text = SPEC.format(algorithm=algorithm, steps=steps, worlds=worlds, agent=TABLES[algorithm])
    if algorithm == "online_distillation":
        text = text.replace("  steps", "  validate_on: 4\n  checkpoint_every: 100\n  steps")
    return trained(folder, text)
