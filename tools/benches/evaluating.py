"""Row 6: evaluating a policy on held-out targets, against Stable-Baselines3's `evaluate_policy`."""

import tempfile
import time
from pathlib import Path

import torch

from benches.contest import OURS, Contest
from benches.figures import Bar, Mode, Outcome
from sim2real.agents import Agent
from sim2real.envs.domains import fixed
from sim2real.evaluation.evaluate import Request, evaluate
from sim2real.evaluation.zeroshot import compare
from sim2real.progress import Progress
from sim2real.runs import Run, open_run
from sim2real.session import Session, reload, trained_agent
from sim2real.spec import Bundle
from sim2real.train import start

TASK, EPISODES = "HalfCheetah-v5", 20
SPEC = f"""\
env: {TASK}
randomize:
  mass: {{type: mass, select: torso, scale: [0.8, 1.2]}}
  friction: {{type: friction, select: ".*", scale: [0.8, 1.2], share: true}}
targets:
%s
train: {{algorithm: sac, steps: 1, num_envs: 1, agent: {{learning_starts: 0}}}}
evaluate: {{episodes: {EPISODES}, shots: [0]}}
"""


def evaluating(mode: Mode) -> Outcome:
    """Evaluate all targets; Stable-Baselines3 is extrapolated from single episodes."""
    targets = 4 if mode.quick else 50
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, Contest(mode, "episode") as contest:
        run = untrained(Path(folder), targets)
        bundle, (agent, _) = reload(run), trained_agent(run)
        contest.add(OURS, lambda window: rollouts(bundle, agent))
        if not mode.quick:
            contest.add("sim2real evaluate", lambda window: command(run))
        values = next(iter(bundle.targets.values())).v.tolist()
        contest.add_peer("SB3", "sb3", "sb3_evaluate.py", task=TASK, spec=str(run.spec), values=values)
        contest.run()
        what = f"evaluating {targets} targets x {EPISODES} episodes against SB3's evaluate_policy"
        note = f"SB3 extrapolated from one episode a round to {targets * EPISODES}; the policy alone, 2x256"
        figures = [
            contest.speedup(what, "SB3", Bar(">=", 15.0), note),
            contest.cost("our time for an episode", OURS, 1e3, "ms"),
        ]
        if not mode.quick:
            whole = "the same by all of `sim2real evaluate`, for each of its policies and domains"
            note = "policy, baseline and random policy; nominal and source too"
            figures.append(contest.ratio(whole, "SB3", "sim2real evaluate", note=note))
        return Outcome(figures, contest.table(), contest.peers)


def rollouts(bundle: Bundle, agent: Agent) -> float:
    """Evaluate one policy on every target as the command does, and return the cost [s] of an episode."""
    begin, places = time.perf_counter(), {name: fixed(found.v) for name, found in bundle.targets.items()}
    compare(bundle, bundle.spec.evaluate, {"policy": agent}, places, Progress.silent())
    return (time.perf_counter() - begin) / (EPISODES * len(places))


def command(run: Run) -> float:
    """Do what `sim2real evaluate` does zero-shot, and return the cost [s] of an episode."""
    begin = time.perf_counter()
    result = evaluate(run, Request(episodes=EPISODES, shots=(0,)), Progress.silent())
    places, policies = len(result["targets"]) + 2, len(result["policies"]) + 1
    return (time.perf_counter() - begin) / (EPISODES * places * policies)


def untrained(folder: Path, targets: int) -> Run:
    """Make a run whose policies have learned nothing: how good they are does not matter here."""
    path = folder / "spec.yaml"
    heavier = [f"  target{i}: {{mass: {1.3 + 0.005 * i:.3f}}}" for i in range(targets)]
    path.write_text(SPEC % "\n".join(heavier))
    run = open_run(start(path, (), folder / "run").path)
    for part in ("policy", "baseline"):
        session = Session(run, part)
        session.save()
        session.env.close()
    return run
