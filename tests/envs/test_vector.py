"""The vector environment's contract: autoreset, keys of randomness, failures, saved state."""

import gymnasium as gym
import numpy as np
import plant
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sim2real.envs import NATIVE, make_task
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_single, make_vector
from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Program, SpecError

HOPPER, CHEETAH, REACH, PUSH = "Hopper-v5", "HalfCheetah-v5", "FetchReach-v4", "FetchPush-v4"
SPEC = """
env: {env}
randomize:
  mass:    {{type: mass, select: {body}, scale: [0.6, 1.4]}}
  pull:    {{type: gravity, scale: [0.9, 1.1]}}
  delay:   {{type: action_latency, set: [0 ms, 50 ms]}}
  age:     {{type: observation_latency, set: [0 ms, 30 ms]}}
  noise:   {{type: observation_noise, set: [0, 0.02]}}
  looks:   {{type: visuals, colors: 0.4, lights: 0.2}}
"""
BODY = {HOPPER: "torso", CHEETAH: "torso", REACH: '"robot0:.*_lift_link"', PUSH: "object0"}


@pytest.fixture
def spec(tmp_path):
    def write(name, more=""):
        path = tmp_path / f"{name}.yaml"
        path.write_text(SPEC.format(env=name, body=BODY[name]) + more)
        return path

    return write


def numbers(observation):
    return np.concatenate([*observation.values()], 1) if isinstance(observation, dict) else observation


def actions_for(env, steps, n=None, seed=0):
    """Random actions in which world i gets the same whatever the number of worlds."""
    all_ = np.random.default_rng(seed).uniform(-1, 1, (steps, 64, env._actions)).astype(np.float32)
    return all_[:, : n or env.num_envs]


def roll(env, actions):
    """What a run gives: observations, rewards and ends."""
    out = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        out.append(np.concatenate([numbers(observation), np.stack([reward, terminated, truncated], 1)], 1))
    return np.array(out)


@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_gymnasium_makes_vectors_with_and_without_a_spec(name, spec):
    plain = gym.make_vec(f"sim2real/{name}", num_envs=3)
    random = gym.make_vec(f"sim2real/{name}", num_envs=3, spec=spec(name))
    assert plain.program.d == 0 and random.program.names[:3] == ("mass", "pull", "delay")
    for env in (plain, random):
        observation, infos = env.reset(seed=0)
        assert infos == {} and observation in env.observation_space
        step = env.step(env.action_space.sample())
        assert step[0] in env.observation_space
        assert [x.dtype for x in step[1:4]] == [np.float64, bool, bool]
        assert all(x.shape == (3,) for x in step[1:4])
        assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        env.close()


def test_a_specs_environment_options_hold(spec):
    path = spec(PUSH, "env_options: {reward_type: dense, max_episode_steps: 7}\n")
    env = make_vector(PUSH, 2, path)
    assert not env.task.sparse and env.task.max_episode_steps == 7
    assert make_vector(PUSH, 2, path, max_episode_steps=9).task.max_episode_steps == 9


def test_wrong_specs_and_options_are_refused(spec, tmp_path):
    with pytest.raises(ValueError, match=r"Hopper-v5.*not of HalfCheetah-v5"):
        make_vector(CHEETAH, 2, spec(HOPPER))
    with pytest.raises(SpecError, match="cannot be read"):
        make_vector(CHEETAH, 2, tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="sharp"):
        make_vector(PUSH, 2, sharp=True)


def layout(infos):
    """Keys, types and masks of infos, without the numbers."""
    told = {}
    for key, value in infos.items():
        if isinstance(value, dict):
            told[key] = layout(value)
        elif key.startswith("_"):
            told[key] = value.tolist()
        elif value.dtype == object:
            told[key] = [None if x is None else sorted(x) if isinstance(x, dict) else x.shape for x in value]
        else:
            told[key] = value.dtype, value.shape, value[~infos[f"_{key}"]].tolist()
    return told


@pytest.mark.parametrize("name", [PUSH, CHEETAH])
def test_same_step_autoreset_is_laid_out_as_gymnasiums_sync_vector_env(name):
    n, length = 3, 5
    ours = make_vector(name, n)
    theirs = SyncVectorEnv(
        [lambda: make_single(name)] * n,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    ours.task.max_episode_steps = length
    ours.reset(seed=0)
    theirs.reset(seed=0)
    for world, env in enumerate(theirs.envs):
        env.vector.task.max_episode_steps = length
        ours.steps[world] = env.vector.steps[0] = world
    ends = []
    for action in actions_for(ours, 8):
        a, b = ours.step(action), theirs.step(action)
        assert layout(a[4]) == layout(b[4])
        np.testing.assert_array_equal(a[2], b[2])
        np.testing.assert_array_equal(a[3], b[3])
        ends.append(a[3].tolist())
    assert sum(map(sum, ends)) == 4


def test_the_final_observation_is_the_one_an_environment_without_autoreset_gives(spec):
    path = spec(HOPPER)
    auto, manual = make_vector(HOPPER, 8, path), make_vector(HOPPER, 8, path, autoreset=False)
    assert manual.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    np.testing.assert_array_equal(auto.reset(seed=1)[0], manual.reset(seed=1)[0])
    ended = 0
    for action in actions_for(auto, 120):
        a, b = auto.step(action), manual.step(action)
        for i in (1, 2, 3):
            np.testing.assert_array_equal(a[i], b[i])
        done = a[2] | a[3]
        shown = b[0]
        if done.any():
            np.testing.assert_array_equal(np.stack(a[4]["final_obs"][done]), b[0][done])
            np.testing.assert_array_equal(a[4]["_final_obs"], done)
            ended += done.sum()
            shown, infos = manual.reset(options={"reset_mask": done})
            assert infos == {}
        np.testing.assert_array_equal(a[0], shown)
    assert ended > 8


@pytest.mark.parametrize("name, length", [(CHEETAH, 1000), (REACH, 50)])
def test_an_episode_is_truncated_at_exactly_its_length(name, length):
    env = make_vector(name, 2)
    env.reset(seed=0)
    env.steps[:] = 0 if length < 100 else length - 20
    start = env.steps[0]
    for step in range(length - start):
        _, _, terminated, truncated, infos = env.step(env.action_space.sample())
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (step == length - start - 1)
        assert ("final_obs" in infos) == truncated.any()
    assert (env.steps == 0).all() and (env.episodes == 1).all()


def test_a_reset_mask_begins_only_those_worlds(spec):
    env = make_vector(HOPPER, 4, spec(HOPPER), autoreset=False)
    before, _ = env.reset(seed=0)
    for action in actions_for(env, 3):
        before = env.step(action)[0]
    state, values = env.worlds.batch.state.copy(), env.worlds.values.copy()
    mask = np.array([True, False, True, False])
    after, _ = env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(after[~mask], before[~mask])
    np.testing.assert_array_equal(env.worlds.batch.state[~mask], state[~mask])
    np.testing.assert_array_equal(env.worlds.values[~mask], values[~mask])
    assert (env.worlds.values[mask] != values[mask]).all()
    assert env.episodes.tolist() == [1, 0, 1, 0] and env.steps.tolist() == [0, 3, 0, 3]
    env.reset(options={"reset_mask": ~mask & False})
    assert env.episodes.tolist() == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="a new seed is for all worlds"):
        env.reset(seed=1, options={"reset_mask": mask})


@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_the_same_seed_gives_the_same_run_and_another_seed_another(name, spec):
    env = make_vector(name, 4, spec(name))
    runs = []
    for seed in (3, 3, 4):
        first, _ = env.reset(seed=seed)
        runs.append(np.concatenate([numbers(first).ravel(), roll(env, actions_for(env, 40)).ravel()]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).mean() > 0.5


@pytest.mark.parametrize("name, steps, options", [(HOPPER, 60, {}), (PUSH, 14, {"max_episode_steps": 10})])
def test_a_world_is_the_same_among_4_and_among_64_and_at_any_thread_count(name, steps, options, spec):
    few = make_vector(name, 4, spec(name), threads=1, **options)
    many = make_vector(name, 64, spec(name), threads=3, **options)
    np.testing.assert_array_equal(numbers(few.reset(seed=2)[0]), numbers(many.reset(seed=2)[0])[:4])
    actions = actions_for(many, steps)
    np.testing.assert_array_equal(roll(few, actions[:, :4]), roll(many, actions)[:, :4])
    assert few.episodes.max() > 0


@pytest.mark.parametrize("name", NATIVE)
def test_a_start_is_the_same_among_any_number_of_worlds(name):
    # Pusher and FetchPush try again until every world's start is far enough from its goal.
    few, many = make_vector(name, 3), make_vector(name, 50)
    for seed in (0, None, None):
        np.testing.assert_array_equal(numbers(few.reset(seed=seed)[0]), numbers(many.reset(seed=seed)[0])[:3])
        np.testing.assert_array_equal(few.worlds.batch.state, many.worlds.batch.state[:3])


def test_every_episode_draws_its_domain_by_its_number(spec):
    env = make_vector(HOPPER, 5, spec(HOPPER))
    env.reset(seed=9)
    seen = {}
    for action in actions_for(env, 150):
        for world in range(5):
            seen.setdefault((world, int(env.episodes[world])), env.worlds.values[world].copy())
        env.step(action)
    assert len(seen) > 15
    program, everything = env.program, np.array(list(seen))
    expected = program.values(program.quantiles(9, everything[:, 0], everything[:, 1]))
    np.testing.assert_array_equal(np.array(list(seen.values())), expected)
    assert len(np.unique(expected[:, 0])) == len(seen)
    mass = plant.field(env.worlds.model(3), "body_mass")[1] / program.model.body_mass[1]
    assert mass == pytest.approx(env.worlds.values[3, 0], rel=1e-15)


def test_worlds_that_end_one_by_one_get_their_domains_from_few_batches(spec):
    env = make_vector(HOPPER, 16, spec(HOPPER))
    sizes, source = [], env.domains

    def counted(seed, worlds, episodes, time):
        sizes.append(len(worlds))
        return source(seed, worlds, episodes, time)

    env.domains = counted
    env.reset(seed=3)
    rng, ended = np.random.default_rng(0), 0
    for _ in range(400):
        *_, terminated, truncated, _ = env.step(rng.uniform(-1, 1, (16, 3)))
        ended += int((terminated | truncated).sum())
        wanted = source(3, np.arange(16), env.episodes, np.zeros(16))
        assert np.array_equal(env.worlds.values, wanted)
        assert np.array_equal(env.worlds.batch.expand("body_mass"), env.program.fields(wanted)["body_mass"])
    assert len(sizes) < ended / 3
    env.domains = fixed(env.program.nominal)  # what was worked out before no longer holds
    env.reset(options={"reset_mask": np.arange(16) == 2})
    assert np.array_equal(env.worlds.values[2], env.program.nominal)


def test_fixed_domains_stay():
    task = make_task(HOPPER)
    program = Program(task.compile(), {"g": plant.read_term({"type": "gravity", "scale": [0.5, 1.5]})})
    env = TaskVectorEnv(task, 3, program, fixed(np.array([[0.5], [1.5]])))
    env.reset(seed=0)
    env.reset()
    assert env.worlds.values[:, 0].tolist() == [0.5, 1.5, 0.5]


@pytest.mark.parametrize("autoreset", [True, False])
@pytest.mark.parametrize("name, value", [(HOPPER, np.nan), (HOPPER, 1e150), (PUSH, np.nan), (PUSH, np.inf)])
def test_a_failed_world_ends_alone_with_finite_numbers_and_is_logged(name, value, autoreset, spec):
    good = make_vector(name, 4, spec(name), autoreset=autoreset)
    bad = make_vector(name, 4, spec(name), autoreset=autoreset)
    last, _ = good.reset(seed=0)
    bad.reset(seed=0)
    others = [0, 1, 3]
    for step, action in enumerate(actions_for(good, 12)):
        if step == 6:
            bad.worlds.bind("qvel")[2, 0] = value
        a, b = good.step(action), bad.step(action)
        np.testing.assert_array_equal(numbers(a[0])[others], numbers(b[0])[others])
        for i in (1, 2, 3):
            np.testing.assert_array_equal(a[i][others], b[i][others])
        assert np.isfinite(numbers(b[0])).all() and np.isfinite(b[1]).all()
        if step == 6:
            assert b[4]["failed"].tolist() == [False, False, True, False]
            assert b[2][2] and not b[3][2] and b[1][2] == 0.0
            final = {k: v[2] for k, v in b[0].items()} if name == PUSH else b[0][2]
            if autoreset:
                final = b[4]["final_obs"][2]
                assert b[4]["final_info"]["failed"][2]
            sensed = (lambda x: x["observation"]) if name == PUSH else (lambda x: x)
            np.testing.assert_array_equal(sensed(final), sensed(last)[2])
        elif step < 6 or autoreset:
            assert "failed" not in b[4]
        last = a[0]
    (failure,) = bad.failures
    assert (failure["world"], failure["episode"], failure["step"]) == (2, 0, 7)
    drawn = bad.program.values(bad.program.quantiles(0, np.array([2]), np.array([0])))[0]
    assert list(failure["values"].values()) == drawn.tolist()
    assert good.failures == []


@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_a_saved_environment_continues_bit_for_bit(name, spec):
    env = make_vector(name, 6, spec(name))
    env.reset(seed=5)
    actions = actions_for(env, 80)
    roll(env, actions[:37])
    saved = env.state_dict()
    ahead = roll(env, actions[37:])
    other = make_vector(name, 6, spec(name), seed=77, threads=2)
    other.reset(seed=1)
    other.load_state_dict(saved)
    np.testing.assert_array_equal(roll(other, actions[37:]), ahead)
    assert ahead[:, :, -2:].any() and (other.episodes == env.episodes).all()


def test_a_saved_environment_of_another_size_is_refused(spec):
    saved = make_vector(HOPPER, 3).state_dict()
    with pytest.raises(ValueError, match="saved worlds have"):
        make_vector(HOPPER, 4).load_state_dict(saved)


def test_pictures_show_each_worlds_own_looks(spec):
    env = make_vector(HOPPER, 3, spec(HOPPER), render_mode="rgb_array")
    env.reset(seed=0)
    pictures = env.render()
    assert len(pictures) == 3 and all(p.shape == (480, 480, 3) and p.std() > 10 for p in pictures)
    assert (pictures[0] != pictures[1]).mean() > 0.3
    np.testing.assert_array_equal(env.render()[1], pictures[1])
    assert env.picture(0, 64, 32).shape == (32, 64, 3)
    env.close()
    assert make_vector(HOPPER, 1).render() is None


def test_a_goal_is_drawn_as_a_ball():
    env = make_vector(PUSH, 1, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.picture(0, 160, 160)
    env.goal[0, 2] += 10.0
    assert (env.picture(0, 160, 160) != before).any()
    env.close()


def test_rewards_of_goals_exist_for_tasks_with_goals_only():
    with pytest.raises(AttributeError, match="no goals"):
        make_vector(HOPPER, 1).compute_reward(np.zeros(3), np.zeros(3))


def test_rendering_does_not_change_the_run(spec):
    plain, shown = (make_vector(PUSH, 2, spec(PUSH), render_mode="rgb_array") for _ in range(2))
    plain.reset(seed=0)
    shown.reset(seed=0)
    for action in actions_for(plain, 4):
        shown.picture(1, 32, 32)
        a, b = plain.step(action), shown.step(action)
        np.testing.assert_array_equal(numbers(a[0]), numbers(b[0]))
    shown.close()
