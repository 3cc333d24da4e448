"""Runs foreign environments through `sim2real.randomize` and tables what each takes; run by `tools/wrapped`.

For each: every term alone, to learn which it refuses; then all it takes together, for two episodes. Domains
must differ between episodes, values must stand in the model, an action must arrive at exactly its latency,
a seed must repeat bit for bit, and MuJoCo must not warn. What does not hold is said in the table.
"""

import argparse
import csv
import importlib
import importlib.metadata
import re
import sys
import tempfile
import time
import warnings
from typing import Any

warnings.simplefilter("ignore")  # other packages' own, of old versions and unbounded spaces

import gymnasium as gym  # noqa: E402
import numpy as np  # noqa: E402
import yaml  # noqa: E402
from reproductions.tables import RESULTS, write  # noqa: E402

import sim2real  # noqa: E402
from sim2real.envs.domains import fixed  # noqa: E402
from sim2real.envs.hosts import Host, sensed  # noqa: E402
from sim2real.spec import SpecError  # noqa: E402

STEPS = 50
GYMNASIUM = """
    Ant-v5 HalfCheetah-v5 Hopper-v5 Humanoid-v5 HumanoidStandup-v5 InvertedDoublePendulum-v5
    InvertedPendulum-v5 Pusher-v5 Reacher-v5 Swimmer-v5 Walker2d-v5
"""
ROBOTICS = """
    FetchReach-v4 FetchPush-v4 FetchSlide-v4 FetchPickAndPlace-v4 HandReach-v3 HandManipulateBlock-v1
    HandManipulateEgg-v1 HandManipulatePen-v1 HandManipulateBlock_ContinuousTouchSensors-v1
    HandManipulateEgg_BooleanTouchSensors-v1 AdroitHandDoor-v1 AdroitHandHammer-v1 AdroitHandPen-v1
    AdroitHandRelocate-v1 FrankaKitchen-v1 PointMaze_UMaze-v3 AntMaze_UMaze-v5
"""
DM_CONTROL = """
    dm_control/cartpole-swingup-v0 dm_control/reacher-easy-v0 dm_control/finger-spin-v0
    dm_control/cheetah-run-v0 dm_control/walker-walk-v0 dm_control/humanoid-run-v0
    dm_control/manipulator-bring_ball-v0 dm_control/stack_2_bricks_features-v0
"""
# distribution → what registers its environments, and their ids
PACKAGES = {
    "gymnasium": ("gymnasium", GYMNASIUM),
    "gymnasium-robotics": ("gymnasium_robotics", ROBOTICS),
    "dm_control": ("shimmy", DM_CONTROL),
}
COLUMNS = ("id", "package", "nv", "nu", "frame_skip", "takes", "refuses", "checks", "steps_per_s", "ratio")


def candidates(host: Host) -> dict[str, list[dict[str, Any]]]:
    """Return terms to try by name, each in the forms to try one after the other."""
    model, period = host.model, host.frame_skip * float(host.model.opt.timestep)
    moving = [i for i in range(model.nbody) if model.body_weldid[i] != 0 and model.body(i).name]
    moving = [i for i in moving if model.body_mass[i] > 0]
    damped = [i for i in range(model.njnt) if model.dof_damping[model.jnt_dofadr[i]] > 0]
    heavy = max(moving, key=lambda i: model.body_mass[i])
    body = {"select": names(model.body(heavy).name)}
    shared = {"scale": [0.8, 1.25], "share": True}
    force = 0.5 * float(model.body_mass[heavy])
    whole = {"choice": [0, period, 2 * period]}
    return {
        "mass": [{"type": "mass", "select": names(*(model.body(i).name for i in moving)), **shared}],
        "center_of_mass": [{"type": "center_of_mass", **body, "x": [-0.005, 0.005]}],
        "friction": [{"type": "friction", "select": ".*", **shared}],
        "damping": [{"type": "damping", "select": names(*(model.joint(i).name for i in damped)), **shared}],
        "motor_strength": [{"type": "motor_strength", "select": ".*", **shared}],
        "gravity": [{"type": "gravity", "scale": [0.9, 1.1]}],
        "timestep": [{"type": "timestep", "scale": {"choice": [0.5, 1]}}],
        "action_latency": [{"type": "action_latency", "set": [0, 2 * period]}],
        "action_jitter": [{"type": "action_jitter", "set": [0, period]}],
        "action_noise": [{"type": "action_noise", "set": 0.01}],
        "observation_latency": [{"type": "observation_latency", "set": s} for s in ([0, 2 * period], whole)],
        "observation_noise": [{"type": "observation_noise", "set": 0.001}],
        "observation_dropout": [{"type": "observation_dropout", "set": 0.1}],
        "push": [{"type": "push", **body, "set": [0, force], "every": 0.5, "duration": 0.05}],
    }


def names(*them: str) -> str:
    """Return the pattern of some names; of none that exists, if there are none."""
    return "|".join(re.escape(name) for name in them if name) or "nothing"


def randomize(env: gym.Env[Any, Any], terms: dict[str, Any], **options: Any) -> Any:
    """Randomize an environment by the terms of a spec."""
    assert env.spec is not None
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"env": env.spec.id, "randomize": terms}, file)
        file.flush()
        return sim2real.randomize(env, file.name, **options)


def try_terms(env: gym.Env[Any, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the terms that an environment takes, and why it refuses the others."""
    takes, refuses = {}, {}
    host = Host(env)
    host.probe()
    for name, forms in candidates(host).items():
        for form in forms:
            try:
                randomize(env, {name: form})
            except (SpecError, ValueError) as error:
                refuses[name] = reason(name, str(error))
            else:
                takes[name] = form
                break
    late = refuses.pop("observation_latency", None)
    if late is not None:
        part = " inside a control step" if "observation_latency" in takes else ""
        refuses["observation_latency" + part] = late
    return takes, refuses


def reason(name: str, message: str) -> str:
    """Shorten a refusal: one line, without the file, the term's name and the names of all elements."""
    line = re.split(rf"randomize\.{name}[^:]*: ", message.strip().splitlines()[0])[-1]
    line = re.split(r"; |, whose |, so |, since | \(see ", line)[0]
    line = re.sub(r"^'.*?' matches no (\w+)", r"there is no such \1", line)
    return re.sub(r"^(?:\S+, )+(?:… \(\d+ more\)|\S+) ", "each element ", line)


def rollout(env: Any, seed: int, steps: int = STEPS) -> tuple[list[Any], list[str]]:
    """Run two episodes with random actions; return what was seen, and what went wrong."""
    rng, seen, wrong = np.random.default_rng(seed), [], []
    domains = []
    for episode in range(2):
        observation, info = env.reset(seed=seed if episode == 0 else None)
        domains.append(info["domain"])
        if not env._edits.stand(env.host.model):
            wrong.append("the model does not hold what was drawn")
        if np.array_equal(env.host.model.body_mass, env.program.model.body_mass):
            wrong.append("the model is the nominal one")
        seen.append(sensed(observation).copy())
        for _ in range(steps):
            observation, reward, terminated, truncated, info = env.step(random_action(env, rng))
            seen.append(np.append(sensed(observation), reward))
            if info.get("failed") or env.host.data.warning.number.any():
                wrong.append("a MuJoCo warning")
            if terminated or truncated:
                break
    if np.array_equal(*domains):
        wrong.append("the domain does not vary")
    return seen, wrong


def random_action(env: Any, rng: np.random.Generator) -> Any:
    """Return a random action from the middle of its range."""
    space = env.action_space
    return (space.low + rng.uniform(0.25, 0.75, space.shape) * (space.high - space.low)).astype(space.dtype)


def check_latency(env: gym.Env[Any, Any]) -> list[str]:
    """Send an impulse with several latencies, and return those with which it does not arrive in time."""
    host = Host(env)
    host.probe()
    timestep, skip, wrong = float(host.model.opt.timestep), host.frame_skip, []
    term = {"lag": {"type": "action_latency", "set": [0, (skip + 2) * timestep]}}
    for lag in (0, 1, skip + 1):
        late = randomize(env, term, domains=fixed(np.array([lag * timestep])))
        rest, impulse = (record(late, sent) for sent in (False, True))
        inputs, positions = (
            [not np.array_equal(a[part], b[part]) for a, b in zip(rest, impulse, strict=True)]
            for part in (0, 1)
        )
        # A motor with a filter of its own moves the body one physics step later.
        if inputs.index(True) != skip + lag or positions.index(True) - skip - lag not in (0, 1):
            wrong.append(f"an impulse comes {inputs.index(True) - skip - lag} physics steps late")
    return wrong


def record(late: Any, impulse: bool) -> list[tuple[Any, Any]]:
    """Return inputs and positions of every physics step; an impulse is sent with the second action."""
    steps: list[tuple[Any, Any]] = []
    host = late.host

    def take(nstep: int) -> None:
        for _ in range(nstep):
            inputs = host.inputs()
            Host.take_steps(host, 1)
            steps.append((inputs, host.data.qpos.copy()))

    host.take_steps = take
    late.reset(seed=3)
    space = late.action_space
    rest = ((space.low + space.high) / 2).astype(space.dtype)
    for step in range(4):
        moved = (rest + 0.2 * (space.high - space.low)).astype(space.dtype)
        late.step(moved if impulse and step == 1 else rest)
    del host.take_steps
    return steps


def speed(env: gym.Env[Any, Any], wrapped: Any) -> tuple[float, float]:
    """Return control steps/s without the wrapper, and with it as a ratio; both in turns."""
    times: dict[Any, list[float]] = {env: [], wrapped: []}
    rng = np.random.default_rng(0)
    for turn in range(5):
        for one, spent in times.items():
            one.reset(seed=turn)
            begin, done = time.perf_counter(), 0
            while time.perf_counter() - begin < 0.1:
                ended = one.step(random_action(env, rng))
                done += 1
                if ended[2] or ended[3]:
                    break
            spent.append((time.perf_counter() - begin) / done)
    plain, ours = (float(np.median(spent)) for spent in times.values())
    return 1 / plain, plain / ours


def examine(name: str) -> dict[str, str]:
    """Return an environment's row of the table."""
    env = gym.make(name, max_episode_steps=10 * STEPS)
    try:
        takes, refuses = try_terms(env)
        wrapped = randomize(env, takes)
        (first, wrong), (again, _) = rollout(wrapped, 7), rollout(wrapped, 7)
        if not all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)):
            wrong.append("a seed does not repeat")
        if "action_latency" in takes:
            wrong += check_latency(env)
        plain, ratio = speed(env, wrapped)
        host = wrapped.host
        return {
            "nv": str(host.model.nv),
            "nu": str(host.model.nu),
            "frame_skip": str(host.frame_skip),
            "takes": " ".join(takes),
            "refuses": "; ".join(f"{term}: {why}" for term, why in refuses.items()),
            "checks": "; ".join(dict.fromkeys(wrong)) or "all hold",
            "steps_per_s": f"{plain:.0f}",
            "ratio": f"{ratio:.2f}",
        }
    finally:
        env.close()


def row(name: str, package: str, module: str) -> dict[str, str]:
    """Return the row of an environment, whether it works or not."""
    empty = dict.fromkeys(COLUMNS, "") | {"id": name}
    try:
        gym.register_envs(importlib.import_module(module))
        version = f"{package} {importlib.metadata.version(package)}"
    except ImportError:
        return empty | {"package": package, "checks": "not installed here, not run"}
    try:
        return empty | {"package": version} | examine(name)
    except Exception as error:
        message = str(error).strip().splitlines() or [""]
        return empty | {"package": version, "checks": f"does not work: {type(error).__name__}: {message[0]}"}


def table(rows: list[dict[str, str]]) -> str:
    """Return the table as Markdown."""
    tried = dict.fromkeys(term for r in rows for term in r["takes"].split())
    lines = [
        f"Each takes {', '.join(f'`{term}`' for term in tried)}, but for what it refuses.",
        "",
        "| environment | package | nv / nu | steps | refuses | checks | steps/s | with all terms |",
        "| --- | --- | ---: | ---: | --- | --- | ---: | ---: |",
    ]
    for r in rows:
        refuses = "<br>".join(f"`{part.replace(': ', '`: ', 1)}" for part in r["refuses"].split("; ") if part)
        size = f"{r['nv']} / {r['nu']}" if r["nv"] else ""
        share = f"{float(r['ratio']):.0%}" if r["ratio"] else ""
        cells = [f"`{r['id']}`", r["package"], size, r["frame_skip"], refuses, r["checks"]]
        lines.append("| " + " | ".join([*cells, r["steps_per_s"], share]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Examine all environments, or those named; write assets/results/envs."""
    parser = argparse.ArgumentParser(prog="tools/wrapped", description=__doc__)
    parser.add_argument("ids", nargs="*", help="environments; without any, all")
    chosen = parser.parse_args().ids
    folder = RESULTS / "envs"
    path = folder / "wrapped.csv"
    old = {r["id"]: r for r in csv.DictReader(path.open())} if path.exists() else {}
    rows = []
    for package, (module, ids) in PACKAGES.items():
        for name in ids.split():
            rows.append(row(name, package, module) if name in chosen or not chosen else old.get(name))
            if rows[-1] is None:
                rows.pop()
            elif name in chosen or not chosen:
                print(*(f"{key}={value}" for key, value in rows[-1].items() if value), flush=True)
    write(path, rows)
    text = table(rows)
    (folder / "wrapped.md").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
