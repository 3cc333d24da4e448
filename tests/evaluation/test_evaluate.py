"""Zero- and few-shot evaluation: paired, counted, honest about what it used."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from sim2real.agents import RandomAgent
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_vector, make_worlds
from sim2real.evaluation.evaluate import Request, adapt_to, evaluate
from sim2real.evaluation.fewshot import adapt
from sim2real.evaluation.report import headline, table, write_report
from sim2real.evaluation.suites import choose, grid
from sim2real.evaluation.zeroshot import _Exam, compare, worlds
from sim2real.progress import Progress
from sim2real.rollout import Rollout, run_episodes, run_places, threads_each
from sim2real.runs import RunError
from sim2real.session import Session, reload, trained_agent
from sim2real.spec import Program
from tests.small import SPEC, trained


@pytest.fixture(scope="module")
def run(small_run):
    return small_run


@pytest.fixture(scope="module")
def result(run):
    before = run.policy.checkpoint.read_bytes()
    found = evaluate(run, Request(), Progress.silent())
    assert run.policy.checkpoint.read_bytes() == before
    return found


def weights(agent):
    return [
        value.clone() for value in [*agent.actor.state_dict().values(), *agent.critic.state_dict().values()]
    ]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class RowByRow:
    """Acts like an agent, one world at a time: matrix libraries may round rows of other batches otherwise."""

    def __init__(self, agent):
        self.agent = agent

    def act(self, obs, deterministic=False):
        if isinstance(obs, dict):
            rows = [
                {key: value[i : i + 1] for key, value in obs.items()} for i in range(len(obs["observation"]))
            ]
        else:
            rows = [obs[i : i + 1] for i in range(len(obs))]
        return np.concatenate([self.agent.act(row, deterministic) for row in rows])


def test_the_file_is_as_the_design_says(run, result):
    data = json.loads(run.evaluation.read_text())
    assert data["spec_sha256"] == run.spec_sha256
    assert set(data["targets"]) == {"heavy", "laggy"}
    for entry in data["targets"].values():
        assert entry["held_out"] is True
        assert entry["distance"] > 0
        assert list(entry["shots"]) == ["0", "1", "2"]
        for shots, summary in entry["shots"].items():
            assert len(summary["episodes"]) == 4
            assert summary["ci95"][0] <= summary["iqm"] <= summary["ci95"][1]
            assert (summary["target_steps_used"] == 0) == (shots == "0")
            assert summary["success_rate"] is None
    assert data["targets"]["heavy"]["values"] == {"torso": 2.5}
    assert data == json.loads(json.dumps(result))


def test_random_and_unrandomized_policies_are_always_there(result):
    assert set(result["policies"]) == {"random", "baseline"}
    for places in result["policies"].values():
        assert set(places) == {"source", "nominal", "heavy", "laggy"}


def test_more_shots_use_more_target_steps(result):
    for entry in result["targets"].values():
        used = [entry["shots"][k]["target_steps_used"] for k in ("0", "1", "2")]
        assert used[0] == 0 < used[1] < used[2]


def test_shot_zero_is_the_saved_checkpoint_in_a_fresh_process(run, result):
    code = (
        "import sys, json\nfrom sim2real.runs import open_run\n"
        "from sim2real.session import reload, trained_agent\n"
        "from sim2real.envs.make import make_worlds\nfrom sim2real.envs.domains import fixed\n"
        "from sim2real.rollout import run_episodes\n"
        "run = open_run(sys.argv[1]); bundle = reload(run); agent, _ = trained_agent(run)\n"
        "v = bundle.targets['heavy'].v\n"
        "env = make_worlds('Hopper-v5', {}, bundle.program, 4, fixed(v))\n"
        "print(json.dumps(run_episodes(agent, env, bundle.spec.evaluate.seed).returns.tolist()))"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=True
    )
    assert json.loads(fresh.stdout) == result["targets"]["heavy"]["shots"]["0"]["episodes"]


@pytest.mark.parametrize("finetune", ["all", "last_layer", "progressive", "residual", "bias"])
def test_adaptation_takes_exactly_k_episodes_and_leaves_the_agent_alone(run, finetune):
    bundle = reload(run)
    agent, _ = trained_agent(run)
    before = weights(agent)
    env = make_worlds("Hopper-v5", {}, bundle.program, 1, fixed(bundle.targets["heavy"].v))
    settings = bundle.spec.evaluate.model_copy(update={"finetune": finetune})
    obs = np.random.default_rng(0).normal(size=(5, 11))
    ended: list[int] = []
    stages = []
    for k, copy, used in adapt(agent, env, (2, 0, 1), settings, 7, ended.append):
        stages.append((k, weights(copy), used, len(ended)))
        if k == 0:
            assert np.array_equal(copy.act(obs, deterministic=True), agent.act(obs, deterministic=True))
    assert [(k, episodes) for k, _, _, episodes in stages] == [(0, 0), (1, 1), (2, 2)]
    assert same(before, weights(agent))
    assert not same(stages[0][1], stages[2][1])
    assert env.episodes[0] == 2  # the third episode has only begun
    assert stages[2][2] > stages[1][2] > stages[0][2] == 0


def test_last_layer_adaptation_moves_only_the_last_layer(run):
    bundle = reload(run)
    agent, _ = trained_agent(run)
    env = make_worlds("Hopper-v5", {}, bundle.program, 1, fixed(bundle.targets["heavy"].v))
    settings = bundle.spec.evaluate.model_copy(update={"finetune": "last_layer"})
    *_, (_, copy, _) = adapt(agent, env, (0, 2), settings, 7)
    for network in ("actor", "critic"):
        before, after = getattr(agent, network).state_dict(), getattr(copy, network).state_dict()
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert all(name.startswith("head") for name in moved)


def test_episodes_are_paired_across_policies_and_domains(run):
    bundle = reload(run)
    starts = []
    for v in (bundle.program.nominal, bundle.targets["heavy"].v):
        env = make_worlds("Hopper-v5", {}, bundle.program, 3, fixed(v))
        for seed in (0, 1):
            agent = RandomAgent(env.single_action_space, seed)
            seen = []
            run_episodes(agent, env, 5, lambda e, seen=seen: seen.append(e.worlds.bind("qpos").copy()))
            starts.append(seen[0])
    assert all(np.array_equal(starts[0], other) for other in starts[1:])


@pytest.mark.parametrize("env", ["Hopper-v5", "FetchReach-v4"])
def test_one_batch_gives_what_separate_batches_give(tmp_path, env):
    text = (
        f"env: {env}\nrandomize:\n  delay: {{type: action_latency, set: [0 ms, 20 ms]}}\n"
        "  noise: {type: observation_noise, set: [0, 0.02]}\ntargets:\n  laggy: {delay: 60 ms}\n"
        "train: {steps: 8, num_envs: 4, baseline: false, agent: {actor_hidden: [256], critic_hidden: [8]}}\n"
    )
    run = trained(tmp_path, text)
    bundle, agent = reload(run), RowByRow(trained_agent(run)[0])
    places = [None, fixed(bundle.program.nominal), fixed(bundle.targets["laggy"].v)]
    done = []
    envs = [worlds(bundle, 5, place, threads_each(3)) for place in places]
    together = run_places(agent, envs, 3, done.append)
    for place, one in zip(places, together, strict=True):
        alone = run_episodes(agent, worlds(bundle, 5, place), 3)
        assert one.returns.tolist() == alone.returns.tolist()
        assert one.lengths.tolist() == alone.lengths.tolist()
        assert (one.success is None) == (alone.success is None)
    assert done == sorted(done)
    assert done[-1] == 1


def test_places_side_by_side_are_as_each_alone(tmp_path):
    targets = "".join(f"  t{i}: {{mass: {0.5 + 0.1 * i}, delay: {20 * i} ms}}\n" for i in range(9))
    text = (
        "env: Hopper-v5\nrandomize:\n"
        "  mass: {type: mass, select: torso, scale: [0.9, 1.1], when: {walk: 1 s}}\n"
        "  delay: {type: action_latency, set: [0 ms, 20 ms]}\n  noise: {type: observation_noise, set: 0.02}\n"
        "  step: {type: timestep, set: {choice: [1 ms, 2 ms]}}\n"
        f"targets:\n{targets}"
        "train: {steps: 8, num_envs: 4, baseline: false, agent: {actor_hidden: [256], critic_hidden: [8]}}\n"
        "evaluate: {episodes: 5}\n"
    )
    run = trained(tmp_path, text)
    bundle, agent = reload(run), RowByRow(trained_agent(run)[0])
    places = {"source": None} | {name: fixed(found.v) for name, found in bundle.targets.items()}
    exam = _Exam(bundle, bundle.spec.evaluate, places, Progress.silent())
    assert len(exam._groups()) < len(places)
    together = compare(bundle, bundle.spec.evaluate, {"policy": agent}, places, Progress.silent())
    assert together == exam.in_turn({"policy": agent}, 0)
    assert len({summary["mean"] for summary in together["policy"].values()}) > 5


def test_an_environment_that_has_ended_leaves_the_batch(run):
    bundle, (agent, _) = reload(run), trained_agent(run)
    envs = [worlds(bundle, 2, fixed(v), 1) for v in (bundle.program.nominal, bundle.targets["heavy"].v)]
    envs[0].task.max_episode_steps = 2
    counts = {id(env): 0 for env in envs}
    for env in envs:

        def step(actions, env=env, own=env.step):
            counts[id(env)] += 1
            return own(actions)

        env.step = step
    first, second = run_places(agent, envs, 0)
    assert first.lengths.tolist() == [2, 2]
    assert [counts[id(env)] for env in envs] == [2, second.lengths.max()]


def test_what_goes_wrong_in_a_batch_is_raised(run):
    bundle, (agent, _) = reload(run), trained_agent(run)
    env = worlds(bundle, 2, None, 1)
    env.step = lambda actions: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run_places(agent, [env, worlds(bundle, 2, None, 1)], 0)


def test_a_rollout_counts_what_happens_until_each_world_ends():
    env = make_vector("FetchReach-v4", 2)
    rollout = Rollout(env, 0)
    while not rollout.over:
        rollout.advance(np.zeros((2, 4), np.float32))
    assert rollout.steps == 50
    assert rollout.episodes().lengths.tolist() == [50, 50]


def test_foreign_environments_are_evaluated_place_by_place(tmp_path):
    text = (
        "env: gymnasium.envs.mujoco.inverted_pendulum_v5:InvertedPendulumEnv\n"
        "randomize:\n  m: {type: mass, select: pole, scale: [0.8, 1.2]}\n"
        "targets:\n  heavy: {m: 3}\nevaluate: {episodes: 2, shots: [0]}\n"
        "train: {steps: 8, num_envs: 2, agent: {actor_hidden: [8], critic_hidden: [8]}}\n"
    )
    run = trained(tmp_path, text)
    found = evaluate(run, Request(), Progress.silent())
    assert list(found["policies"]) == ["random", "baseline"]
    assert found["targets"]["heavy"]["shots"]["0"]["failed_episodes"] == 0


def test_an_episode_ends_at_its_first_end():
    env = make_vector("FetchReach-v4", 3)
    agent = RandomAgent(env.single_action_space, 0)
    episodes = run_episodes(agent, env, 0)
    assert (episodes.lengths == 50).all()
    assert episodes.success is not None
    assert (np.abs(episodes.returns + 25) <= 25).all()


def test_a_failed_simulation_fails_its_episode_only(run):
    program = Program(reload(run).program.model, {})
    env = make_worlds("Hopper-v5", {}, program, 3)
    steps = []

    def break_one(worlds):
        steps.append(1)
        if len(steps) == 3:
            worlds.worlds.bind("qvel")[1, 0] = np.nan

    episodes = run_episodes(RandomAgent(env.single_action_space, 0), env, 0, break_one)
    assert episodes.failed.tolist() == [False, True, False]
    assert episodes.lengths[1] == 3
    assert np.isfinite(episodes.returns).all()


def test_the_baseline_is_trained_when_it_is_missing(tmp_path):
    run = trained(tmp_path, SPEC.replace("steps: 600", "steps: 200"), alone=True)
    assert not run.baseline.checkpoint.exists()
    result = evaluate(run, Request(shots=(0,), episodes=2), Progress.silent())
    assert "baseline" in result["policies"]
    assert trained_agent(run, "baseline")[1] == 200


def test_no_baseline_is_trained_where_the_spec_wants_none(tmp_path):
    run = trained(tmp_path, SPEC.replace("steps: 600", "steps: 200\n  baseline: false"))
    result = evaluate(run, Request(shots=(0,), episodes=2), Progress.silent())
    assert set(result["policies"]) == {"random"} and not run.baseline.checkpoint.exists()


def test_a_baseline_that_was_interrupted_is_trained_on(tmp_path):
    run = trained(tmp_path, SPEC.replace("steps: 600", "steps: 200"), alone=True)
    session = Session(run, "baseline")
    session.step(Progress.silent())
    session.save()
    session.env.close()
    evaluate(run, Request(shots=(0,), episodes=2), Progress.silent())
    assert trained_agent(run, "baseline")[1] == 200


def test_a_grid_looks_inside_and_outside_the_source(run):
    places = grid(reload(run).program)
    torso = {name: place for name, place in places.items() if name.startswith("torso")}
    assert [place.given["torso"] for place in torso.values()] == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8])
    assert [place.held_out for place in torso.values()] == [True, False, False, False, True]
    assert min(place.given["delay"] for place in places.values() if "delay" in place.given) == 0.0


def test_unknown_targets_and_suites_are_named(run):
    bundle = reload(run)
    with pytest.raises(RunError, match="no target 'hevy'; did you mean 'heavy'"):
        choose(bundle, ["hevy"])
    with pytest.raises(RunError, match="unknown suite 'gird'; did you mean 'grid'"):
        choose(bundle, None, "gird")


def test_one_job_gives_what_many_give(run, result):
    bundle = reload(run)
    alone = adapt_to(run, bundle.targets["laggy"], bundle.spec.evaluate)
    assert alone == result["targets"]["laggy"]["shots"]


def test_retention_is_the_source_return_of_each_adapted_policy(run, result):
    bundle = reload(run)
    chosen = bundle.spec.evaluate.model_copy(update={"retention": True, "shots": (0, 1)})
    found = adapt_to(run, bundle.targets["heavy"], chosen)
    before, after = found["0"]["retention"], found["1"]["retention"]
    assert before["episodes"] == result["source"]["shots"]["0"]["episodes"]
    assert after["episodes"] != before["episodes"]
    assert len(after["episodes"]) == 4
    assert after["target_steps_used"] == found["1"]["target_steps_used"] > 0
    # Nothing else about the adaptation depends on whether it is measured.
    for k in ("0", "1"):
        told = {key: value for key, value in found[k].items() if key != "retention"}
        assert told == result["targets"]["heavy"]["shots"][k]


def test_evaluation_names_the_mode_and_keeps_retention_beside_the_rest(tmp_path):
    run = trained(tmp_path, SPEC.replace("steps: 600", "steps: 200"))
    request = Request(("heavy",), shots=(0, 1), episodes=2, finetune="scratch", retention=True)
    found = evaluate(run, request, Progress.silent())
    assert json.loads(run.evaluation.read_text()) == json.loads(json.dumps(found))
    assert found["settings"]["finetune"] == "scratch"
    heavy = found["targets"]["heavy"]["shots"]
    assert list(heavy) == ["0", "1"]
    agent, _ = trained_agent(run)
    domains = fixed(reload(run).targets["heavy"].v)
    own = run_episodes(agent, worlds(reload(run), 2, domains), 1000)
    assert heavy["0"]["episodes"] != pytest.approx(
        own.returns.tolist(), rel=1e-3
    )  # scratch's shot 0 is that of a fresh agent
    assert heavy["0"]["retention"]["episodes"] != found["source"]["shots"]["0"]["episodes"]
    fallen = found["nominal"]["shots"]["0"]["iqm"] > heavy["0"]["iqm"]
    assert f"untrained, {'falls to' if fallen else 'is'} {heavy['0']['iqm']:.0f}" in headline(found)
    assert f"On the source it is then {heavy['1']['retention']['iqm']:.0f}, before" in headline(found)
    assert "heavy" in table(found)
    assert write_report(run).exists()

    plain = evaluate(run, Request(("heavy",), shots=(0,), episodes=2, retention=True), Progress.silent())
    zero = plain["targets"]["heavy"]["shots"]["0"]
    # A batch of several places may round small networks otherwise than one place alone.
    assert zero["episodes"] == pytest.approx(own.returns.tolist(), rel=1e-5)
    assert zero["retention"] == plain["source"]["shots"]["0"]


def test_requests_that_cannot_be_are_refused_with_the_nearest_word(run):
    spec = reload(run).spec.evaluate
    with pytest.raises(RunError, match=r"evaluate.finetune: must be .* did you mean 'progressive'\?"):
        Request(finetune="progresive").settings(spec)
    warm = spec.model_copy(update={"warm_episodes": 1})
    with pytest.raises(RunError, match=r"evaluate\.warm_episodes: must be below the most shots, 1"):
        Request(shots=(0, 1)).settings(warm)
    assert Request(shots=(0,), finetune="bias").settings(warm).finetune == "bias"


def test_a_mode_that_does_not_fit_is_refused_before_anything_is_evaluated(run):
    with pytest.raises(ValueError, match="last_3: a network of this agent has only 2 layers"):
        evaluate(run, Request(finetune="last_3"), None)


def test_the_table_and_the_headline_say_what_was_found(result):
    text = table(result)
    assert text.splitlines()[0].count("|") == 8
    assert "heavy (torso 2.5)" in text
    worst = min(result["targets"], key=lambda name: result["targets"][name]["shots"]["0"]["iqm"])
    assert f"({worst})" in headline(result)


def test_the_report_is_one_file_that_needs_no_network(run, result):
    text = write_report(run).read_text()
    assert text.count("data:image/png;base64,") == 2
    assert "http://" not in text
    assert "https://" not in text.replace("https://json-schema.org", "")
    assert "built-in" not in text  # a dictionary's method where its item was meant
    for word in (
        "heavy",
        "laggy",
        "torso 2.5",
        "delay 0.06 s",
        "no randomization",
        "zero-shot",
        "2-shot",
        "torso",
        run.spec_sha256[:12],
    ):
        assert word in text
