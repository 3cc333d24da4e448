"""A wrapped foreign environment does to the plant, step by step, what the batched path does."""

import threading
import warnings

import gymnasium as gym
import mujoco
import numpy as np
import plant
import pytest
from wrapped import LATE, MASS, OLD, dm_control, made, nominal, numbers, record, roll, wrap

from sim2real.envs import make_task
from sim2real.envs.domains import fixed
from sim2real.envs.foreign import foreign_vector
from sim2real.envs.hosts import sensed
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wrapper import RandomizedEnv
from sim2real.spec import Program

HOPPER, CHEETAH, PUSH, PUSHER, DOOR = (
    "Hopper-v5", "HalfCheetah-v5", "FetchPush-v4", "Pusher-v5", "AdroitHandDoor-v1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages' own: old versions, unbounded spaces
        yield


# --- equal to the batched path ---

PATHS = {
    "late": LATE,
    "jitter": {"type": "action_jitter", "set": [0, 0.02]},
    "old": OLD,
    "shaky": {"type": "observation_jitter", "set": [0, 0.05]},
    "loss": {"type": "action_loss", "set": 0.2},
    "dropout": {"type": "observation_dropout", "set": 0.2},
}
DISTORTIONS = {
    "noise": {"type": "observation_noise", "set": 0.1},
    "bias": {"type": "observation_bias", "set": 0.1},
    "stuck": {"type": "stuck_sensor", "set": 0.3},
    "tremor": {"type": "action_noise", "set": 0.1},
    "play": {"type": "backlash", "set": 0.1},
    "dead": {"type": "dead_zone", "set": 0.05},
}
CLOCK = {"clock": {"type": "timestep", "scale": {"choice": [0.5]}}, "old": OLD}
HUMAN = "Humanoid-v5"
BODY = {
    HOPPER: "torso", CHEETAH: "torso", PUSH: "object0", PUSHER: "object", DOOR: "latch", HUMAN: "torso",
}  # fmt: skip


def weight(name):
    return {"weight": {**MASS, "select": BODY[name]}}


def forces(name):
    body = BODY[name]
    return {
        "shove": {"type": "push", "select": body, "set": 5, "every": "0.2 s", "duration": "30 ms"},
        "wind": {"type": "external_force", "select": body, "set": [-0.5, 0.5]},
    }


def drifts(name, mass, other):
    scaled = {**weight(name)["weight"], "when": mass}
    hinges = {HOPPER: ".*_joint", CHEETAH: "[bf](thigh|shin|foot)", DOOR: "door_hinge"}.get(name, ".*")
    damping = {"type": "damping", "select": hinges, "scale": [0.8, 1.2], "share": True, "when": other}
    return {"weight": scaled} if name == PUSH else {"weight": scaled, "damping": damping}


CASES = {
    "nothing": lambda name: {},
    "action latency": lambda name: {"late": LATE},
    "observation latency": lambda name: {"old": OLD},
    "paths": lambda name: PATHS,
    "distortions": lambda name: DISTORTIONS,
    "timestep": lambda name: CLOCK,
    "forces": forces,
    "walk and sine": lambda name: drifts(name, {"walk": "0.5 s"}, {"sine": "1 s"}),
    "ramp and every": lambda name: drifts(name, {"ramp": "1 s"}, {"every": "0.1 s"}),
    "all": lambda name: {**PATHS, **DISTORTIONS, **CLOCK, **forces(name), **weight(name)},
}


def same_start(env, batch):
    """Put the batch's only world where the environment is."""
    inner, data, worlds = env.unwrapped, env.host.data, batch.worlds
    worlds.reset(np.arange(1))
    for name in ("qpos", "qvel", "time"):
        worlds.bind(name)[0] = getattr(data, name)
    if hasattr(inner, "goal"):
        batch.goal[0] = inner.goal
    if "Door" in type(inner).__name__:  # a mocap body in the native task
        task = batch.task
        worlds.bind("mocap_pos")[0, task.frame] = inner.model.body("frame").pos
    worlds.forward()
    batch.signals.reset(np.arange(1), worlds.values, batch._moment())


# A humanoid's speed is that of its centre of mass: where masses drift, the two read it before and after.
BOTH = [(n, c) for n in BODY for c in CASES if n != HUMAN or "and" not in c]


@pytest.mark.parametrize("name, case", BOTH)
def test_step_by_step_equal_to_the_batched_path(name, case):
    terms = {key: plant.read_term(body) for key, body in CASES[case](name).items()}
    task = make_task(name)
    program = Program(task.compile(), terms)
    env = made(name)
    env = RandomizedEnv(env, program.rebound(nominal(env)))
    batch = TaskVectorEnv(task, 1, program, autoreset=False)
    env.reset(seed=3)
    batch.reset(seed=3)
    np.testing.assert_array_equal(env.applied, batch.applied[0])
    same_start(env, batch)
    # Fetch's observation is a sum in another order. The native door hangs on a mocap body, so its hand's
    # motion differs in the last bit, which contacts then magnify.
    # The humanoid's contact forces are computed anew by a solver that stops before it has converged.
    tolerance = {PUSH: 1e-12, DOOR: 1e-5, HUMAN: 1e-9}.get(name, 0)
    rng = np.random.default_rng(0)
    for _ in range(25 if name == DOOR else 40):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        ours, theirs = env.step(action), batch.step(action[None])
        np.testing.assert_allclose(numbers(ours[0]), numbers(theirs[0])[0], rtol=0, atol=tolerance)
        # NumPy adds up the norm of one vector in another order than those of a batch, on some processors.
        np.testing.assert_allclose(ours[1], theirs[1][0], rtol=0, atol=max(tolerance, 1e-15))
        assert ours[2] == theirs[2][0] and "failed" not in ours[4]
        if ours[2]:
            break
    np.testing.assert_array_equal(env.applied, batch.applied[0])


def test_world_i_draws_what_the_batchs_world_i_draws():
    task = make_task(HOPPER)
    program = Program(task.compile(), {"m": plant.read_term(MASS), "late": plant.read_term(LATE)})
    ours = foreign_vector(HOPPER, {}, program, 3, seed=1)
    batch = TaskVectorEnv(task, 3, program)
    for seed in (5, None, None):
        _, info = ours.reset(seed=seed)
        batch.reset(seed=seed)
        np.testing.assert_array_equal(info["domain"], batch.applied)
        np.testing.assert_array_equal([env.applied for env in ours.envs], batch.applied)
    ours.close()


SUITE = ("cartpole-swingup", "walker-walk", "humanoid-run", "cheetah-run", "reacher-easy", "finger-spin")
OTHERS = (
    "Ant-v5", "Humanoid-v5", PUSHER, PUSH, "HandReach-v3", "HandManipulateEgg_BooleanTouchSensors-v1",
    "AdroitHandPen-v1", "FrankaKitchen-v1", "PointMaze_UMaze-v3", "AntMaze_UMaze-v5",
)  # fmt: skip


@pytest.mark.parametrize("name", [*OTHERS, *SUITE, "manipulator-bring_ball", "stack_2_bricks_features"])
def test_cutting_a_step_changes_nothing(name):
    """With everything at 0, but looked for, each environment is the plain one bit for bit."""
    both = [made(name) if name in OTHERS else dm_control(name) for _ in range(2)]
    terms = {"late": LATE, "noise": {"type": "observation_noise", "set": [0, 1]}}
    both[1] = wrap(both[1], fixed(np.zeros(2)), **terms)
    assert both[1]._signals is not None
    space = both[0].action_space
    rng = np.random.default_rng(0)
    first = [sensed(env.reset(seed=3)[0]) for env in both]
    np.testing.assert_array_equal(*first)
    for _ in range(10):
        action = rng.uniform(np.maximum(space.low, -1), np.minimum(space.high, 1)).astype(space.dtype)
        plain, ours = (env.step(action) for env in both)
        np.testing.assert_array_equal(sensed(plain[0]), sensed(ours[0]))
        assert plain[1:4] == ours[1:4]


# --- exact lags ---


@pytest.mark.parametrize("lag", [0, 1, 3, 4, 7, 20])
def test_an_impulse_arrives_at_exactly_its_lag_in_every_episode(lag):
    env = wrap(HOPPER, fixed(np.array([lag * 0.002])), late=LATE)
    controls = record(env)
    for sent_at in (0, 2, 1):
        env.reset()
        controls.clear()
        for step in range(9):
            env.step(np.full(3, 0.5 if step == sent_at else 0.0, np.float32))
        arrived = np.flatnonzero(np.array(controls)[:, 0])
        np.testing.assert_array_equal(arrived, sent_at * 4 + lag + np.arange(4))


def test_a_reset_forgets_what_was_on_its_way():
    env = wrap(HOPPER, fixed(np.array([0.04])), late=LATE)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.ones(3, np.float32))
    env.reset()
    controls = record(env)
    for _ in range(8):
        env.step(np.zeros(3, np.float32))
    assert not np.any(controls)


@pytest.mark.parametrize("seen", [0, 1, 4, 6])
def test_an_observation_is_exactly_its_age_old(seen):
    env, prompt = wrap(HOPPER, fixed(np.array([seen * 0.002])), old=OLD), made(HOPPER)
    first = prompt.reset(seed=0)[0]
    np.testing.assert_array_equal(env.reset(seed=0)[0], first)
    path = [first]
    for step in range(6):
        action = np.sin(step + np.arange(3)).astype(np.float32)
        prompt.unwrapped.data.ctrl[:] = action
        for _ in range(4):
            mujoco.mj_step(prompt.unwrapped.model, prompt.unwrapped.data)
            path.append(prompt.unwrapped._get_obs())
        np.testing.assert_array_equal(env.step(action)[0], path[max((step + 1) * 4 - seen, 0)])


# --- the model ---


def test_the_nominal_model_comes_back_bit_for_bit():
    terms = {"m": MASS, "f": {"type": "friction", "select": ".*", "scale": [0.5, 2], "share": True}}
    env = wrap(HOPPER, **terms, g={"type": "gravity", "scale": [0.5, 1.5]})
    for _ in range(20):
        env.reset()
        env.step(env.action_space.sample())
    assert plant.differing(env.unwrapped.model, env.program.model)
    env.domains = fixed(env.program.nominal)
    for _ in range(5):
        env.reset()
    assert not plant.differing(env.unwrapped.model, env.program.model)


@pytest.mark.parametrize("name", [HOPPER, PUSH, DOOR, "AdroitHandPen-v1", "HandManipulateBlock-v1"])
def test_in_the_nominal_domain_an_environment_is_the_plain_one(name):
    plain, env = made(name), wrap(name, m={**MASS, "select": heavy(name)})
    for domain in (env.program.nominal, np.array([1.7]), env.program.nominal):
        env.domains = fixed(domain)
        start = numbers(env.reset(seed=1)[0])
        same = domain[0] == 1.0
        if same:
            np.testing.assert_array_equal(start, numbers(plain.reset(seed=1)[0]))
        for _ in range(8):
            action = np.sin(np.arange(env.action_space.shape[0])).astype(np.float32)
            ours = numbers(env.step(action)[0])
            if same:
                np.testing.assert_array_equal(ours, numbers(plain.step(action)[0]))


@pytest.mark.parametrize("name", ["FetchReach-v4", DOOR, "PointMaze_UMaze-v3"])
def test_an_environments_own_edits_stay(name):
    select = {"FetchReach-v4": "robot0:gripper_link", DOOR: "latch"}.get(name, "particle")
    plain, env = made(name), wrap(name, m={**MASS, "select": select})
    for seed in (1, 2):
        plain.reset(seed=seed)
        env.reset(seed=seed)
        if name == "FetchReach-v4":  # its target is drawn, and then moved, by rendering
            plain.unwrapped._render_callback()
            env.unwrapped._render_callback()
        # Their own goals, sites and frames, drawn alike; what differs is ours.
        ours = {"body_mass", "body_inertia", "body_subtreemass"}
        derived = set(mujoco.MjModel._setconst_outputs)
        differ = set(plant.differing(plain.unwrapped.model, env.unwrapped.model))
        assert "body_mass" in differ and differ <= ours | derived
        assert not differ & {"site_pos", "body_pos", "eq_data", "geom_size"}
        plain.step(np.zeros(plain.action_space.shape, np.float32))
        env.step(np.zeros(plain.action_space.shape, np.float32))


@pytest.mark.parametrize("name", [DOOR, "AdroitHandRelocate-v1", "HandManipulateBlock-v1"])
def test_a_seed_repeats_bit_for_bit_where_the_environment_edits_its_model(name):
    env = wrap(name, m={**MASS, "select": heavy(name)}, late=LATE)

    def run():
        seen = [numbers(env.reset(seed=4)[0])]
        for step in range(8):
            action = np.sin(step + np.arange(env.action_space.shape[0])).astype(np.float32)
            seen.append(numbers(env.step(action)[0]))
        return np.array(seen)

    first = run()
    env.reset()
    np.testing.assert_array_equal(run(), first)


def heavy(name):
    model = nominal(made(name))
    moving = np.where((model.body_weldid != 0), model.body_mass, 0)
    return model.body(int(moving.argmax())).name


def test_a_reset_that_simulates_is_not_cut():
    """HandManipulate settles for 200 physics steps at a reset; with latency or without, it settles alike."""
    plain, env = made("HandManipulateBlock-v1"), wrap("HandManipulateBlock-v1", fixed([0.04]), late=LATE)
    for seed in (0, 1):
        np.testing.assert_array_equal(
            plain.reset(seed=seed)[0]["observation"], env.reset(seed=seed)[0]["observation"]
        )


# --- several, and threads ---


def test_nothing_leaks_between_wrapped_environments():
    alone = [roll(wrap(name, late=LATE, m=MASS), seed) for name, seed in ((HOPPER, 1), (HOPPER, 2))]
    one, two, plain = wrap(HOPPER, late=LATE, m=MASS), wrap(HOPPER, late=LATE, m=MASS), made(HOPPER)
    expected = roll(made(HOPPER), 1)
    one.reset(seed=1), two.reset(seed=2), plain.reset(seed=1)
    for step in range(15):
        action = np.sin(step + np.arange(3)).astype(np.float32)
        for env, path in ((one, alone[0]), (two, alone[1]), (plain, expected)):
            np.testing.assert_array_equal(env.step(action)[0], path[step + 1])


def test_threads_do_not_meet():
    envs = [wrap(HOPPER, late=LATE, m=MASS, old=OLD) for _ in range(2)]
    alone = [[roll(envs[i], 10 * i + k) for k in range(6)] for i in range(2)]
    found = [None, None]

    def work(i):
        found[i] = [roll(envs[i], 10 * i + k) for k in range(6)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    np.testing.assert_array_equal(found, alone)


# --- failures ---


@pytest.mark.parametrize("force", [np.nan, 1e30])
@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_a_failed_simulation_ends_the_episode_with_finite_numbers(name, force):
    body = {"type": "external_force", "select": BODY[name], "set": [-1, 1]}
    env = wrap(name, fixed(np.array([force, 0, 0, 0.02])), wind={**body, "set": [-1, 1]}, late=LATE)
    for _ in range(2):  # and again: the next episode fails just as well
        env.reset(seed=0)
        for _ in range(10):
            observation, reward, terminated, _, info = env.step(env.action_space.sample())
            assert np.isfinite(numbers(observation)).all()
            if terminated:
                break
        assert terminated and info["failed"] and reward == 0.0
    env.domains = fixed(env.program.nominal)
    env.reset(seed=0)
    assert "failed" not in env.step(env.action_space.sample())[4]


def test_an_exception_inside_a_step_leaves_nothing_behind(monkeypatch):
    env = wrap(HOPPER, late=LATE)
    expected = roll(env, 0)
    env.reset(seed=0)
    monkeypatch.setattr(env.host, "take_steps", lambda nstep: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.step(np.zeros(3, np.float32))
    monkeypatch.undo()
    assert "step" not in vars(env.unwrapped)
    np.testing.assert_array_equal(roll(env, 0), expected)
    before = env.unwrapped.data.time
    mujoco.mj_step(env.unwrapped.model, env.unwrapped.data)
    assert env.unwrapped.data.time > before


def test_a_program_on_the_environments_own_model_does_not_accumulate():
    env = gym.make("Hopper-v5")
    model = env.unwrapped.model
    before = model.body_mass[1]
    term = plant.read_term({"type": "mass", "select": "torso", "scale": 2})
    wrapped = RandomizedEnv(env, Program(model, {"m": term}))
    for _ in range(3):
        wrapped.reset(seed=0)
        assert model.body_mass[1] == 2 * before
