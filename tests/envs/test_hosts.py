"""How the wrapper finds its way in environments it does not know, and what it refuses."""

import copy
import warnings

import gymnasium as gym
import mujoco
import numpy as np
import pytest
import wrapped
from mujoco.batch import MODEL_FIELDS
from wrapped import (
    ARM,
    LATE,
    MASS,
    OLD,
    Arm,
    OwnMjcf,
    Renewed,
    Repeated,
    dm_control,
    made,
    record,
    roll,
    wrap,
)

import sim2real
from sim2real.envs.domains import fixed
from sim2real.envs.hosts import sensed
from sim2real.session import CATALOG
from sim2real.spec import ProgramError, SpecError, load

HOPPER, PUSH = "Hopper-v5", "FetchPush-v4"


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages' own: old versions, unbounded spaces
        yield


# --- what cannot be taken ---


def spec(folder, env, terms):
    path = folder / "spec.yaml"
    lines = "".join(f"  {name}: {body}\n" for name, body in terms.items())
    path.write_text(f"env: {env}\nrandomize:\n{lines}")
    return path


REFUSED = {
    "kitchen": (
        "FrankaKitchen-v1", {"old": "{type: observation_latency, set: [0, 10 ms]}"},
        "cannot be made between its physics steps",
    ),
    "simplified": (
        "PointMaze_UMaze-v3", {"com": "{type: center_of_mass, select: particle, x: [-1 cm, 1 cm]}"},
        "compiled particle in a simplified form",
    ),
    "no MuJoCo": ("CartPole-v1", {"late": "{type: action_latency, set: [0, 10 ms]}"}, "no MuJoCo model"),
    "vector": (
        "tests.foreign:CountingVectorEnv", {"late": "{type: action_latency, set: [0, 10 ms]}"},
        "vector environment of its own",
    ),
    "own clock": (
        "tests.wrapped:OwnClock", {"clock": "{type: timestep, scale: {choice: [0.5, 1]}}"},
        "this environment lets set",
    ),
    "own loop": (
        "tests.wrapped:OwnLoop", {"late": "{type: action_latency, set: [0, 10 ms]}"},
        "controls its motors anew",
    ),
    "places": (
        "tests.wrapped:Placed", {"late": "{type: action_latency, set: [0, 10 ms]}"},
        "actions set positions",
    ),
    "no mj_step": (
        "tests.wrapped:Halves", {"late": "{type: action_latency, set: [0, 10 ms]}"},
        "cannot be cut in pieces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_is_refused_at_load(case, tmp_path):
    env, terms, message = REFUSED[case]
    path = spec(tmp_path, env, terms)
    with pytest.raises(SpecError) as caught:
        load(path, CATALOG)
    whole = case in ("no MuJoCo", "vector")
    assert ("spec.yaml:1: env: " if whole else f"spec.yaml:3: randomize.{next(iter(terms))}") in str(
        caught.value
    )
    assert message in str(caught.value)


@pytest.mark.parametrize("case", [case for case, (name, *_) in REFUSED.items() if "vector" not in case])
def test_what_cannot_be_taken_is_refused_by_randomize(case, tmp_path):
    name, terms, message = REFUSED[case]
    env = getattr(wrapped, name.partition(":")[2])() if ":" in name else made(name)
    with pytest.raises((SpecError, ValueError), match=message):
        sim2real.randomize(env, spec(tmp_path, name, terms))


def test_a_vector_environment_is_refused_by_randomize(tmp_path):
    vector = gym.make_vec("CartPole-v1", 2, vectorization_mode="sync")
    with pytest.raises(ValueError, match="takes single environments"):
        sim2real.randomize(vector, spec(tmp_path, "CartPole-v1", {}))


def test_wrapping_twice_is_refused():
    with pytest.raises(ValueError, match="randomized already"):
        wrap(gym.wrappers.TimeLimit(wrap(HOPPER, m=MASS), 5), late=LATE)


def test_a_target_that_needs_observations_in_between_is_refused_when_it_comes():
    whole = {"type": "observation_latency", "set": {"choice": [0, 0.05]}}
    env = wrap("FrankaKitchen-v1", fixed(np.array([0.01])), old={**whole, "set": {"choice": [0, 0.08]}})
    with pytest.raises(ValueError, match="cannot be made between"):
        env.reset()


# --- environments of our own making ---

EVERYTHING = {
    "m": "{type: mass, select: fore, scale: [0.5, 2]}",
    "d": "{type: damping, select: .*, scale: [0.5, 2], share: true}",
    "s": "{type: motor_strength, select: .*, scale: [0.5, 1]}",
    "g": "{type: gravity, scale: [0.8, 1.2]}",
    "late": "{type: action_latency, set: [0, 30 ms]}",
    "noise": "{type: observation_noise, set: 0.01}",
    "jitter": "{type: action_jitter, set: [0, 10 ms]}",
    "shove": "{type: push, select: fore, set: 0.5, every: 0.2 s, duration: 50 ms}",
    "old": "{type: observation_latency, set: [0, 30 ms]}",
}


def test_a_users_own_mjcf(tmp_path):
    (tmp_path / "arm.xml").write_text(ARM)
    terms = {**EVERYTHING, "clock": "{type: timestep, scale: {choice: [0.5, 1]}}"}
    env = OwnMjcf(tmp_path / "arm.xml")
    env = sim2real.randomize(env, spec(tmp_path, "mine", terms))
    domains = [env.reset(seed=0 if k == 0 else None)[1]["domain"] for k in range(6)]
    assert len(np.unique(domains, axis=0)) == 6
    v = env.values[0]
    assert env.unwrapped.model.body("fore").mass == pytest.approx(v[0] * env.program.model.body("fore").mass)
    np.testing.assert_array_equal(roll(env, 3), roll(env, 3))
    frames = {int(env.unwrapped.frame_skip) for _ in range(20) if env.reset()}
    assert frames == {4, 8}
    assert env.unwrapped.dt == pytest.approx(0.02)


def test_plain_environments_with_nested_float32_observations(tmp_path):
    env = sim2real.randomize(Arm(), spec(tmp_path, "mine", EVERYTHING))
    assert env.host.takes_actions and env.host.can_look
    for _ in range(2):
        observation, _ = env.reset()
        assert env.observation_space.contains(observation)
        for _ in range(10):
            observation, *_ = env.step(env.action_space.sample())
            assert env.observation_space.contains(observation)


def test_forces_of_the_environments_own_stay():
    push = {"type": "external_force", "select": "fore", "set": [0.1, 0.2]}
    env = wrap(Arm(), wind=push)
    env.reset()
    arm, fore = (env.host.model.body(name).id for name in ("arm", "fore"))
    env.host.data.xfrc_applied[arm, 0] = 3.0
    env.step(np.zeros(2, np.float32))
    assert env.host.data.xfrc_applied[arm, 0] == 3.0
    assert env.host.data.xfrc_applied[fore].any()


def test_an_environment_that_makes_its_model_anew():
    env = wrap(Renewed(), m={**MASS, "select": "fore"}, late=LATE)
    for _ in range(3):
        env.reset()
        assert env.unwrapped.model is env.host.model
        wanted = env.values[0, 0] * env.program.model.body("fore").mass
        np.testing.assert_allclose(env.unwrapped.model.body("fore").mass, wanted)
        assert env.step(env.action_space.sample())[4].get("failed") is None


def test_latency_holds_where_a_step_is_made_of_several():
    """Also the second time an environment writes its controls, they are still on their way."""
    twice, skip = gym.wrappers.MaxAndSkipObservation(made(HOPPER), 2), 8
    for env, timestep in ((Repeated(), 0.005), (twice, 0.002)):
        env = wrap(env, fixed(np.array([3 * timestep])), late=LATE)
        assert env.host.frame_skip == skip
        controls = record(env)
        env.reset(seed=0)
        for step in range(3):
            env.step(np.full(env.action_space.shape, 0.5 if step == 1 else 0.0, np.float32))
        np.testing.assert_array_equal(np.flatnonzero(np.array(controls)[:, 0]), skip + 3 + np.arange(skip))


def test_wrappers_between_change_actions_before_they_are_delayed():
    def chain(env):
        env = gym.wrappers.RescaleAction(env, np.float32(0), np.float32(1))
        return gym.wrappers.TimeLimit(gym.wrappers.FlattenObservation(env), 50)

    late = wrap(chain(made(PUSH, max_episode_steps=500)), fixed([0.04]), late=LATE)
    inner = wrap(made(PUSH, max_episode_steps=500), fixed([0.04]), late=LATE)
    late.reset(seed=0), inner.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.uniform(0, 1, 4).astype(np.float32)
        late.step(action)
        inner.step(2 * action - 1)
        np.testing.assert_allclose(late.unwrapped.data.qpos, inner.unwrapped.data.qpos, atol=1e-6)


def test_a_normalized_observation_can_be_delayed_by_whole_steps_only():
    env = gym.wrappers.NormalizeObservation(made(HOPPER))
    with pytest.raises(ProgramError, match="cannot be made between"):
        wrap(env, old=OLD)
    wrap(env, old={"type": "observation_latency", "set": {"choice": [0, 0.008]}}).reset()


def test_probing_leaves_random_numbers_alone():
    def starts(env):
        return [env.reset(seed=7 if k == 0 else None)[0] for k in range(2)]

    plain, env = made(HOPPER), made(HOPPER)
    np.testing.assert_array_equal(starts(plain), starts(env))
    plain.action_space.seed(3), env.action_space.seed(3)
    env = wrap(env, noise={"type": "action_noise", "set": 0.1})
    np.testing.assert_array_equal(plain.reset()[0], env.reset()[0])
    np.testing.assert_array_equal(plain.action_space.sample(), env.action_space.sample())


def test_closing_twice_and_rendering():
    env = wrap(made(HOPPER, render_mode="rgb_array"), m=MASS, late=LATE)
    env.reset(seed=0)
    assert env.render().shape == (480, 480, 3)
    env.close()
    env.close()


def test_a_copy_is_on_its_own():
    env = wrap(HOPPER, m=MASS, late=LATE, old=OLD)
    roll(env, 0)
    twin = copy.deepcopy(env)
    expected = roll(env, 5)
    env.reset(seed=1)
    np.testing.assert_array_equal(roll(twin, 5), expected)
    assert twin.host.model is twin.unwrapped.model is not env.unwrapped.model


def test_all_fields_are_still_known_to_the_batch():
    """The engine's list of what it derives is private; if it goes, this says so before anything breaks."""
    assert set(mujoco.MjModel._setconst_outputs) - set(MODEL_FIELDS) == set()


def test_dm_control_sees_pushes_and_drifts_as_they_are():
    """Where no signal is cut, dm_control still brings positions up to date after its steps."""
    push = {"type": "push", "select": "torso", "set": 100, "every": 0.1, "duration": 0.05}
    env = wrap(dm_control("walker-walk"), shove=push)
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.ones(6))
        data, fresh = env.host.data, copy.copy(env.host.data)
        mujoco.mj_kinematics(env.host.model, fresh)
        np.testing.assert_array_equal(data.xpos, fresh.xpos)


def test_dm_control_keeps_drawn_values_that_its_reset_would_overwrite():
    env = wrap(dm_control("finger-spin"), d={"type": "damping", "select": "hinge", "scale": [2, 3]})
    env.reset(seed=0)
    hinge = env.host.model.joint("hinge")
    assert 0.06 <= hinge.damping[0] <= 0.09  # the task's own is 0.03, its file's is not


def test_dm_control_fails_as_others_do():
    body = {"type": "external_force", "select": "torso", "set": [-1, 1]}
    env = wrap(dm_control("walker-walk"), fixed(np.full(3, np.nan)), wind=body)
    for _ in range(2):
        env.reset(seed=0)
        observation, reward, terminated, _, info = env.step(np.zeros(6))
        assert terminated and reward == 0 and info["failed"] and np.isfinite(sensed(observation)).all()
