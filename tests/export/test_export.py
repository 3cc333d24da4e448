"""Export and verify: the file is the policy, says whose, and is refused where it does not fit."""

import dataclasses
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from sim2real.cli import app
from sim2real.deploy.contract import KEY, ContractError, from_json, to_json
from sim2real.deploy.policy import Policy
from sim2real.envs.context import ContextEnv
from sim2real.envs.registry import make_task
from sim2real.export import verify as verifying
from sim2real.export.export import export
from sim2real.export.graph import Graph
from sim2real.export.robot import actions_of, entries_of, period_of
from sim2real.export.verify import verify
from sim2real.runs import RunError
from sim2real.session import CATALOG, reload, trained_agent, training_env
from sim2real.spec import load_text
from tests.export.runs import made

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
ROBOT = "assets/mjcf/so101/so101.xml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made(tmp_path_factory.mktemp("rma"), "rma")


@pytest.fixture(scope="module")
def file(run):
    path = run.path / "policy.onnx"
    export(run, path)
    return path


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(verifying, "COUNT", 400)


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


def changed(file, folder, **changes):
    """The file with another contract."""
    model = onnx.load(file)
    (entry,) = (one for one in model.metadata_props if one.key == KEY)
    entry.value = to_json(dataclasses.replace(from_json(entry.value, "here"), **changes))
    path = folder / "changed.onnx"
    onnx.save(model, path)
    return path


def test_the_contract_says_what_a_robot_must_know(run, file):
    contract = Policy(file).contract
    assert (contract.algorithm, contract.env, contract.steps) == ("rma", "SO101Reach-v0", 304)
    assert [one.rate for one in contract.action] == [pytest.approx(1.5)] * 6  # [rad/s], as it was trained
    assert contract.spec_sha256 == run.spec_sha256
    assert contract.period == pytest.approx(0.02)
    assert tuple(joint.name for joint in contract.joints) == JOINTS
    assert contract.joints[0].high == pytest.approx(np.radians(110))
    names = [*(f"position.{name}" for name in JOINTS), *(f"velocity.{name}" for name in JOINTS)]
    assert [entry.name for entry in contract.observation] == [*names, "goal.x", "goal.y", "goal.z"]
    assert [entry.unit for entry in contract.observation] == ["rad"] * 6 + ["rad/s"] * 6 + ["m"] * 3
    assert [(one.name, one.kind, one.unit, one.gear) for one in contract.action] == [
        (name, "position", "rad", 1.0) for name in JOINTS
    ]
    assert contract.history == (contract.history.__class__)(3, 15)
    assert contract.positions() == {name: (i, i) for i, name in enumerate(JOINTS)}
    assert 0 < contract.latency.median <= contract.latency.p99
    assert contract.latency.processor
    assert from_json(to_json(contract), "here") == contract


def test_the_file_is_the_policy(run, file, few):
    result = verify(file, run, None)
    assert result.count == 400
    assert 0 < result.largest <= verifying.TOLERANCE


def test_the_loop_remembers_what_training_showed(run, file):
    """The file, fed by what it remembers itself, acts as the agent on what the worlds say was."""
    agent, _ = trained_agent(run)
    env, policy = training_env(reload(run), "policy"), Policy(file)
    assert isinstance(env, ContextEnv)
    obs, _ = env.reset(seed=0)
    for _ in range(5):
        seen = np.asarray(obs["observation"][0], float)
        fed = policy.inputs(seen)["history"][0]
        np.testing.assert_allclose(fed, obs["history"][0].astype(np.float32), rtol=0, atol=1e-6)
        actions = agent.act(obs, deterministic=True)
        own = policy.act(policy.flatten(seen))
        np.testing.assert_allclose(own, actions[0], rtol=0, atol=1e-5)
        policy.done(np.asarray(actions[0], float))
        obs = env.step(actions)[0]
    policy.reset()
    assert not policy.inputs(seen)["history"].any()
    env.close()


def test_another_policy_fails(run, file, few, tmp_path):
    model = onnx.load(file)
    for weights in model.graph.initializer:
        if len(weights.dims) == 2:
            weights.CopyFrom(
                onnx.numpy_helper.from_array(1.1 * onnx.numpy_helper.to_array(weights), weights.name)
            )
    onnx.save(model, tmp_path / "other.onnx")
    code, text = call("verify", tmp_path / "other.onnx", run.path)
    assert code == 1
    assert "is not the policy of" in text


def reordered(contract):
    return {"joints": contract.joints[::-1]}


def renamed(contract):
    return {"action": (dataclasses.replace(contract.action[0], name="waist"), *contract.action[1:])}


def narrowed(contract):
    return {"action": (dataclasses.replace(contract.action[0], high=1.0), *contract.action[1:])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (reordered, "the joints are in another order"),
        (renamed, "the robot has no waist; the policy knows no shoulder_pan"),
        (narrowed, "says something else of its action"),
        (lambda contract: {"period": 0.05}, "control period [s] of the policy: 0.05, of the robot: 0.02"),
        (lambda contract: {"observation": contract.observation[:-1]}, "observation of the policy: 14"),
        (lambda contract: {"history": None}, "says something else of its history"),
        (lambda contract: {"spec_sha256": "0" * 64}, "exported from another spec (sha256 000000000000)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(run, file, tmp_path, change, said):
    path = changed(file, tmp_path, **change(Policy(file).contract))
    code, text = call("verify", path, run.path)
    assert code == 1
    assert said in text and text.startswith("sim2real: ") and text.count("\n") == 1


def test_another_spec_is_compared_when_told(run, file, few, tmp_path):
    path = changed(file, tmp_path, spec_sha256="0" * 64)
    assert verify(path, run, any_spec=True).passed


def test_robots(run, file, few, tmp_path):
    assert verify(file, run, Path(ROBOT)).passed
    other = tmp_path / "other.xml"
    other.write_text((Path(ROBOT).read_text()).replace("wrist_roll", "wrist_turn"))
    for robot, said in ((other, "the robot has no wrist_roll"), (Path("assets/specs/hopper.yaml"), "rootx")):
        with pytest.raises(RunError, match=said):
            verify(file, run, robot)


def test_files_that_are_none(tmp_path, file):
    with pytest.raises(ContractError, match="no such file"):
        Policy(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_text("no")
    with pytest.raises(ContractError, match="no ONNX file"):
        Policy(tmp_path / "text.onnx")
    model = onnx.load(file)
    (entry,) = (one for one in model.metadata_props if one.key == KEY)
    entry.value = json.dumps({"format": "sim2real-policy-9"})
    onnx.save(model, tmp_path / "new.onnx")
    with pytest.raises(ContractError, match="another version"):
        Policy(tmp_path / "new.onnx")


def described(env):
    """The contract's parts of a task of which nothing is trained."""
    bundle = load_text(f"env: {env}\nrandomize: {{}}\n", "here.yaml", CATALOG)
    task = make_task(env)
    shown, actions = task.spaces(task.compile())
    goal = shown["desired_goal"].shape[0] if isinstance(shown, gym.spaces.Dict) else 0
    size = task.sizes(bundle.program.model)[0] + 2 * goal
    return entries_of(bundle, size, goal), actions_of(bundle, actions), period_of(bundle)


def test_tasks_say_what_they_show():
    entries, actions, period = described("Hopper-v5")
    assert [entry.name for entry in entries[:2]] == ["position.rootz", "position.rooty"]
    assert [entry.unit for entry in entries[:2]] == ["m", "rad"]
    assert (entries[5].name, entries[5].unit) == ("velocity.rootx", "m/s")
    assert {one.kind for one in actions} == {"control"}
    assert period == pytest.approx(0.008)
    assert len(described("Swimmer-v5")[0]) == 8
    entries, actions, _ = described("FetchReach-v4")
    assert entries[0].name == "obs[0]"
    assert [entry.name for entry in entries[-6::3]] == ["achieved_goal[0]", "desired_goal[0]"]
    assert [one.name for one in actions] == ["action[0]", "action[1]", "action[2]", "action[3]"]


def test_no_folder_no_file(run, tmp_path):
    code, text = call("export", run.path, "-o", tmp_path / "no" / "policy.onnx")
    assert code == 1 and "there is no folder" in text, text


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [("universal", "no robot can tell it"), ("soft_q", "rounding"), ("pets", "there is no policy")],
)
def test_what_no_robot_could_run_is_refused(tmp_path, algorithm, said):
    with pytest.raises(RunError, match=f"{algorithm} cannot be exported: .*{said}"):
        export(made(tmp_path, algorithm, 120), tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


@pytest.mark.parametrize("algorithm", ["fast_sac", "asymmetric", "up_osi", "recurrent_sac", "maml"])
def test_graphs_are_the_agents(tmp_path, algorithm):
    """In torch, where it costs little; that the file is the graph is the slow test's."""
    agent, _ = trained_agent(made(tmp_path, algorithm, 120))
    graph, n = Graph(agent, algorithm), 5
    raw = torch.randn(n, graph.layout.size, generator=torch.Generator().manual_seed(0))
    fed = {"observation": raw[:, : graph.layout.plain]}
    fed |= {
        key: raw[:, graph.layout.columns(key)] for key in graph.inputs if key in dict(graph.layout.context)
    }
    if graph.remembers:
        raw[:, -2:] = 0.0
        agent.memory.hidden = fed["hidden"] = torch.full((n, 8), 0.3)
    out = graph(*(fed[name] for name in graph.inputs))
    action = out[0] if graph.remembers else out
    np.testing.assert_array_equal(action.detach().numpy(), agent.act(raw.numpy(), deterministic=True))
    if graph.remembers:
        np.testing.assert_array_equal(out[1].detach().numpy(), agent.memory.hidden.numpy())


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm", ["fast_sac", "sac", "crossq", "asymmetric", "history_sac", "up_osi", "recurrent_sac", "rl2",
                  "maml", "reptile", "distillation", "online_distillation"],
)  # fmt: skip
def test_every_kind_is_exported_and_verified(tmp_path, algorithm):
    run = made(tmp_path, algorithm)
    export(run, tmp_path / "policy.onnx")
    assert verify(tmp_path / "policy.onnx", run).passed


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["recurrent_sac", "rl2"])
def test_the_loop_has_the_memory_of_the_agent(tmp_path, algorithm):
    run = made(tmp_path, algorithm)
    export(run, tmp_path / "policy.onnx")
    agent, _ = trained_agent(run)
    env, policy = training_env(reload(run), "policy"), Policy(tmp_path / "policy.onnx")
    obs, _ = env.reset(seed=0)
    with agent.elsewhere():
        for _ in range(6):
            actions = agent.act(obs, deterministic=True)
            own = policy.act(policy.flatten(obs["observation"][0]))
            np.testing.assert_allclose(own, actions[0], rtol=0, atol=1e-5)
            obs, reward, *_ = env.step(actions)
            policy.done(np.asarray(actions[0], float), float(reward[0]))
    env.close()
