"""Latency is exact to the physics step, against plain MuJoCo with a queue in Python."""

import mujoco
import numpy as np
import plant
import pytest
from scipy import stats

from sim2real.envs import make_task
from sim2real.envs.domains import fixed
from sim2real.envs.paths import Player
from sim2real.envs.task import State
from sim2real.envs.tasks import Hopper
from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Program

HOPPER, CHEETAH, PUSH = "Hopper-v5", "HalfCheetah-v5", "FetchPush-v4"
# None, less than a control step, whole control steps, whole ones and a rest, and the end of the range.
LAGS = np.array([0, 1, 3, 4, 7, 8, 14, 20])
STEPS = 12


def env_of(name, lags=None, seen_lags=None, n=None, **terms):
    """An environment whose world i has `lags[i]` on its action path, `seen_lags[i]` on the other."""
    task = make_task(name)
    model = task.compile()
    dt, columns = model.opt.timestep, []
    for key, values in (("action_latency", lags), ("observation_latency", seen_lags)):
        if values is not None:
            terms[key] = {"type": key, "set": [0, float(np.max(values) * dt)]}
            columns.append(np.asarray(values) * dt)
    program = Program(model, {key: plant.read_term(body) for key, body in terms.items()})
    domains = fixed(np.stack(columns, 1)) if columns else None
    return TaskVectorEnv(task, n or len(columns[0]), program, domains)


def actions_for(env, steps=STEPS, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, env.num_envs, env._actions)).astype(np.float32)


@pytest.mark.parametrize("name", [HOPPER, CHEETAH])
def test_an_impulse_arrives_at_exactly_its_lag(name):
    env = env_of(name, LAGS)
    controls = plant.record_controls(env.worlds)
    for episode, sent_at in enumerate([0, 2, 0]):
        env.reset(seed=episode if episode < 2 else None)
        controls.clear()
        for step in range(9):
            env.step(np.full((len(LAGS), env._actions), 0.5 if step == sent_at else 0.0, np.float32))
        timeline, skip = np.array(controls)[:, :, 0], env.task.frame_skip
        for world, lag in enumerate(LAGS):
            arrived = np.flatnonzero(timeline[:, world])
            np.testing.assert_array_equal(arrived, sent_at * skip + lag + np.arange(skip))


def test_a_reset_forgets_what_was_on_its_way():
    env = env_of(HOPPER, LAGS)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.ones((len(LAGS), 3), np.float32))
    mask = np.arange(len(LAGS)) % 2 == 0
    env.reset(options={"reset_mask": mask})
    controls = plant.record_controls(env.worlds)
    for _ in range(5):
        env.step(np.zeros((len(LAGS), 3), np.float32))
    arriving = np.array(controls)[:, :, 0].any(axis=0)
    np.testing.assert_array_equal(arriving, ~mask & (LAGS > 0))


def queue_of_mj_step(env, start, actions, lag):
    """One world by plain mj_step: the state after every physics step, (steps · frame_skip + 1, nq + nv)."""
    model, skip = env.program.model, env.task.frame_skip
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = start
    mujoco.mj_forward(model, data)
    path = [np.concatenate([data.qpos, data.qvel])]
    queue = [np.zeros(model.nu)] * int(lag)
    for t in range(len(actions) * skip):
        queue.append(actions[t // skip])
        data.ctrl[:] = queue.pop(0)
        mujoco.mj_step(model, data)
        path.append(np.concatenate([data.qpos, data.qvel]))
    return np.array(path)


def starts(env):
    return [
        (env.worlds.bind("qpos")[i].copy(), env.worlds.bind("qvel")[i].copy()) for i in range(env.num_envs)
    ]


@pytest.mark.parametrize("name", [HOPPER, CHEETAH])
def test_delayed_actions_equal_a_python_queue(name):
    env = env_of(name, LAGS)
    env.reset(seed=4)
    begin, actions = starts(env), actions_for(env)
    skip = env.task.frame_skip
    expected = [queue_of_mj_step(env, begin[i], actions[:, i], lag) for i, lag in enumerate(LAGS)]
    for step in range(STEPS):
        env.step(actions[step])
        if env.steps.min() <= step:  # one fell and began anew; nothing more to compare
            break
        state = np.concatenate([env.worlds.bind("qpos"), env.worlds.bind("qvel")], 1)
        for world in range(env.num_envs):
            np.testing.assert_array_equal(state[world], expected[world][(step + 1) * skip])
    assert step >= 7


# Under RK4, Hopper's own integrator, MuJoCo's delay reads the next control early, in later stages of a step.
@pytest.mark.parametrize("integrator", ["EULER", "IMPLICITFAST"])
@pytest.mark.parametrize("whole", [0, 1, 2, 5])
def test_delayed_actions_equal_mujocos_own_actuator_delay(whole, integrator, monkeypatch):
    def integrate(task, spec):
        spec.option.integrator = mujoco.mjtIntegrator.__members__[f"mjINT_{integrator}"]

    monkeypatch.setattr(Hopper, "prepare", integrate)
    env = env_of(HOPPER, np.array([whole * 4, 20]))
    env.reset(seed=4)
    spec = mujoco.MjSpec.from_file(str(env.task.xml))
    env.task.prepare(spec)
    for actuator in spec.actuators:
        if whole:
            actuator.delay, actuator.nsample = whole * 4 * 0.002, whole * 4 + 1
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = starts(env)[0]
    mujoco.mj_forward(model, data)
    actions = actions_for(env)
    for step in range(8):
        data.ctrl[:] = actions[step, 0]
        mujoco.mj_step(model, data, nstep=4)
        env.step(actions[step])
        np.testing.assert_array_equal(env.worlds.bind("qpos")[0], data.qpos)
        np.testing.assert_array_equal(env.worlds.bind("qvel")[0], data.qvel)


@pytest.mark.parametrize(
    "name", [HOPPER, "Walker2d-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Pusher-v5"]
)
def test_a_control_step_played_in_one_call_equals_its_pieces(name):
    terms = {
        "lag": {"type": "action_latency", "set": [0, 0.06]},
        "jitter": {"type": "action_jitter", "set": [0, 0.02]},
        "loss": {"type": "action_loss", "set": 0.2},
        "age": {"type": "observation_latency", "set": [0, 0.05]},
        "clock": {"type": "timestep", "scale": {"choice": [0.5, 1.0]}},
    }
    played, pieces = (env_of(name, n=6, **terms) for _ in range(2))
    assert isinstance(played.signals._player, Player)
    pieces.signals._player = None
    np.testing.assert_array_equal(played.reset(seed=1)[0], pieces.reset(seed=1)[0])
    for action in actions_for(played, 30):
        for a, b in zip(played.step(action)[:4], pieces.step(action)[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert played.worlds.batch.state.tobytes() == pieces.worlds.batch.state.tobytes()


@pytest.mark.parametrize("name", [PUSH, "Ant-v5", "AdroitHandDoor-v1"])
def test_tasks_that_act_or_step_in_their_own_way_do_not_play(name):
    assert TaskVectorEnv(make_task(name), 1).signals._player is None


@pytest.mark.parametrize("name", [HOPPER, CHEETAH])
@pytest.mark.parametrize("order", [LAGS, LAGS[::-1]])
def test_a_delayed_observation_is_the_true_one_of_that_physics_step(name, order):
    env = env_of(name, order, LAGS)
    first, _ = env.reset(seed=4)
    begin, actions = starts(env), actions_for(env)
    skip, nq = env.task.frame_skip, env.program.model.nq
    paths = [queue_of_mj_step(env, begin[i], actions[:, i], lag) for i, lag in enumerate(order)]
    seen = [env.task.observe(State({"qpos": p[:, :nq], "qvel": p[:, nq:]})) for p in paths]
    np.testing.assert_array_equal(first, [s[0] for s in seen])
    for step in range(8):
        observation, *_ = env.step(actions[step])
        for world, lag in enumerate(LAGS):
            age = max((step + 1) * skip - lag, 0)
            np.testing.assert_array_equal(observation[world], seen[world][age])


def test_reward_and_physics_do_not_see_the_observations_age():
    late, prompt = env_of(PUSH, LAGS, LAGS + 6), env_of(PUSH, LAGS, LAGS * 0)
    late.reset(seed=0)
    prompt.reset(seed=0)
    for action in actions_for(late):
        a, b = late.step(action), prompt.step(action)
        np.testing.assert_array_equal(late.worlds.bind("qpos"), prompt.worlds.bind("qpos"))
        np.testing.assert_array_equal(a[1], b[1])
        np.testing.assert_array_equal(a[0]["achieved_goal"], b[0]["achieved_goal"])


def test_fetch_delayed_by_whole_control_steps_is_fetch_with_rests_first():
    lags = np.array([0, 20, 60])
    late, prompt = env_of(PUSH, lags), env_of(PUSH, lags * 0)
    late.reset(seed=0)
    prompt.reset(seed=0)
    actions = actions_for(late)
    shifted = np.zeros_like(actions)
    for world, lag in enumerate(lags // 20):
        shifted[lag:, world] = actions[: len(actions) - lag, world]
    for given, earlier in zip(actions, shifted, strict=True):
        late.step(given)
        prompt.step(earlier)
        np.testing.assert_array_equal(late.worlds.bind("qpos"), prompt.worlds.bind("qpos"))


def test_fetch_delayed_within_a_control_step_equals_plain_mujoco():
    lags, seen_lags = np.array([0, 5, 13, 27, 40]), np.array([7, 15, 7, 0, 33])
    env = env_of(PUSH, lags, seen_lags)
    first, _ = env.reset(seed=2)
    actions = actions_for(env)
    begin = starts(env)
    references = [fetch_by_hand(env, begin[i], actions[:, i], lags[i]) for i in range(5)]
    for step in range(STEPS):
        observation, *_ = env.step(actions[step])
        for world, (qpos, seen) in enumerate(references):
            np.testing.assert_array_equal(env.worlds.bind("qpos")[world], qpos[(step + 1) * 20])
            age = (step + 1) * 20 - seen_lags[world]
            expected = seen[age] if age > 0 else first["observation"][world]
            np.testing.assert_array_equal(observation["observation"][world], expected)


def fetch_by_hand(env, start, actions, lag):
    """One Fetch world by plain MuJoCo: positions and observations after every physics step."""
    task, model = env.task, env.program.model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = start
    mujoco.mj_forward(model, data)

    def observe():
        return task.observe(State({name: getattr(data, name)[None] for name in task.reads}))[0]

    def act(action):
        data.mocap_pos[0] = data.xpos[task.gripper] + np.float32(action[:3]) * 0.05
        data.mocap_quat[0] = data.xquat[task.gripper] + [1, 0, 1, 0]

    qpos, seen = [data.qpos.copy()], [observe()]
    if lag:
        act(np.zeros(4))
    for t in range(len(actions) * 20):
        if (t - lag) % 20 == 0:
            mujoco.mj_forward(model, data)
            act(actions[(t - lag) // 20] if t >= lag else np.zeros(4))
        mujoco.mj_step(model, data)
        if (t + 1) % 20 == 0:
            data.qpos[task.fingers] = 0.0
        mujoco.mj_forward(model, data)
        qpos.append(data.qpos.copy())
        seen.append(observe())
    return qpos, seen


def test_a_relative_action_is_applied_once_in_a_control_step():
    lags = np.array([0, 5, 20, 33])
    env = env_of(PUSH, lags)
    env.reset(seed=0)
    acted, act = [], env.task.act

    def counting(worlds, ids, action):
        acted.extend(ids.tolist())
        act(worlds, ids, action)

    env.task.act = counting
    for step, action in enumerate(actions_for(env, 4)):
        acted.clear()
        env.step(action)
        # In the first step a world that waits for its action is also told to rest.
        extra = [1, 3] if step == 0 else []
        assert sorted(acted) == sorted([0, 1, 2, 3, *extra])


def lags(env):
    return env.signals.sent.lag


def test_a_lag_is_the_nearest_physics_step():
    env = env_of(HOPPER, np.array([2.4, 2.6, 4.0]))
    env.reset(seed=0)
    np.testing.assert_array_equal(lags(env), [2, 3, 4])


def test_both_ends_of_a_range_of_lags_are_drawn_from():
    env = env_of(HOPPER, n=400, lag={"type": "action_latency", "set": {"choice": ["0 ms", "6 ms", "40 ms"]}})
    env.reset(seed=0)
    lag, counts = np.unique(lags(env), return_counts=True)
    assert lag.tolist() == [0, 3, 20] and counts.min() > 90


def test_a_later_domain_with_a_longer_lag_than_planned_is_refused():
    task = make_task(HOPPER)
    term = plant.read_term({"type": "action_latency", "set": [0, 0.02]})
    env = TaskVectorEnv(
        task,
        2,
        Program(task.compile(), {"lag": term}),
        lambda seed, w, e, t: np.where(e == 0, 0.01, 0.5)[:, None],
    )
    env.reset(seed=0)
    with pytest.raises(ValueError, match="a lag of 63 control steps is longer than the 4"):
        env.reset()


@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_noise_is_normal_fresh_and_of_the_size_asked(name):
    n, std = 4, 0.03
    clean = TaskVectorEnv(make_task(name), n)
    noisy = env_of(name, n=n, noise={"type": "observation_noise", "set": std})
    a, b = clean.reset(seed=0)[0], noisy.reset(seed=0)[0]
    noise = [difference(b, a)]
    for action in actions_for(clean, 40):
        a, b = clean.step(action), noisy.step(action)
        np.testing.assert_array_equal(a[1], b[1])
        if isinstance(a[0], dict):
            for goal in ("achieved_goal", "desired_goal"):
                np.testing.assert_array_equal(a[0][goal], b[0][goal])
        noise.append(difference(b[0], a[0]))
    noise = np.array(noise)
    assert stats.kstest(noise.ravel() / std, "norm").pvalue > 1e-3
    assert abs(noise.std() / std - 1) < 5 / np.sqrt(2 * noise.size)
    assert np.abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 5 / np.sqrt(noise.size)
    assert len(np.unique(noise.round(9))) > 0.99 * noise.size


def difference(observation, clean):
    pick = (lambda x: x["observation"]) if isinstance(clean, dict) else (lambda x: x)
    return pick(observation) - pick(clean)


def test_noise_depends_on_its_key_alone():
    body = {"type": "observation_noise", "set": [0.01, 0.05]}
    few, many = (env_of(HOPPER, n=n, noise=body) for n in (3, 17))
    a, b = few.reset(seed=5)[0], many.reset(seed=5)[0]
    np.testing.assert_array_equal(a, b[:3])
    for step in range(40):
        a = few.step(np.full((3, 3), 0.3, np.float32))[0]
        b = many.step(np.full((17, 3), 0.3, np.float32))[0]
        np.testing.assert_array_equal(a, b[:3])
        if step == 20:  # reading again draws nothing new
            np.testing.assert_array_equal(few._observation(), a)
