"""Jitter, loss, distortions, forces and the clock, in the batched environment."""

import numpy as np
import plant
import pytest
from scipy import stats

from sim2real.envs import make_task
from sim2real.envs.domains import fixed
from sim2real.envs.plants import applied, clocked
from sim2real.envs.vector import TaskVectorEnv
from sim2real.session import CATALOG
from sim2real.spec import Program, SpecError, load_text

HOPPER, CHEETAH, PUSH = "Hopper-v5", "HalfCheetah-v5", "FetchPush-v4"


def env_of(name, n=4, domains=None, **terms):
    task = make_task(name)
    program = Program(task.compile(), {key: plant.read_term(body) for key, body in terms.items()})
    return TaskVectorEnv(task, n, program, domains)


def actions_for(env, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, env.num_envs, env._actions)).astype(np.float32)


def applied_actions(env, actions):
    """Every action as it reached the actuators, after each physics step: (steps × frame_skip, n, a)."""
    log = plant.record_controls(env.worlds)
    for action in actions:
        env.step(action)
    return np.array(log)


def test_jitter_keeps_the_order_and_its_bounds():
    env = env_of(
        HOPPER, 3, jitter={"type": "action_jitter", "set": 0.03}, lag={"type": "action_latency", "set": 0.01}
    )
    env.reset(seed=0)
    # Actions that count: 0.001, 0.002, … so that what arrives tells when it was sent.
    numbers = np.repeat((np.arange(1, 61) / 1000)[:, None, None], 3, 1).repeat(3, 2).astype(np.float32)
    arrived = np.rint(applied_actions(env, numbers)[:, :, 0] * 1000).astype(int)
    assert (np.diff(arrived, axis=0) >= 0).all()
    step = np.arange(len(arrived))[:, None]
    age = step - 4 * (arrived - 1)
    known = arrived > 0
    assert (age[known] >= 5).all()  # 10 ms of latency are 5 physics steps
    first = np.diff(arrived, axis=0, prepend=0) > 0
    assert (age[first & known] <= 5 + 15).all() and len(np.unique(age[first & known])) > 8


def test_jitter_differs_between_worlds_and_episodes_and_repeats_with_the_seed():
    def path(seed):
        env = env_of(HOPPER, 3, jitter={"type": "action_jitter", "set": 0.03})
        env.reset(seed=seed)
        return applied_actions(env, actions_for(env, 20))

    one = path(0)
    np.testing.assert_array_equal(one, path(0))
    assert (one != path(1)).any()


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_lost_actions_hold_the_last_that_came(p):
    env = env_of(CHEETAH, 8, loss={"type": "action_loss", "set": p})
    env.reset(seed=0)
    actions = actions_for(env, 200)
    seen = applied_actions(env, actions)[::5]
    kept = (seen == actions).all(axis=2)
    assert abs(kept.mean() - (1 - p)) < 0.05
    held = seen[1:][~kept[1:]] == seen[:-1][~kept[1:]]
    assert held.all()
    if p == 1:
        assert (seen == 0).all()


def test_lost_observations_show_the_last_that_came():
    env = env_of(HOPPER, 8, loss={"type": "observation_dropout", "set": 0.4})
    clean = env_of(HOPPER, 8)
    last, lost = env.reset(seed=0)[0], 0
    clean.reset(seed=0)
    for action in actions_for(env, 15):
        seen, true = env.step(action)[0], clean.step(action)[0]
        fresh = (seen == true).all(axis=1)
        np.testing.assert_array_equal(seen[~fresh], last[~fresh])
        lost, last = lost + (~fresh).sum(), seen
    assert abs(lost / (15 * 8) - 0.4) < 0.15


def test_observation_jitter_shows_old_observations_in_order():
    env = env_of(CHEETAH, 6, jitter={"type": "observation_jitter", "set": 0.2})
    clean = env_of(CHEETAH, 6)
    true, seen = [clean.reset(seed=0)[0]], [env.reset(seed=0)[0]]
    for action in actions_for(env, 60):
        true.append(clean.step(action)[0])
        seen.append(env.step(action)[0])
    true, seen = np.array(true), np.array(seen)
    ages = []
    for world in range(6):
        which = [int(np.flatnonzero((true[:, world] == s).all(axis=1))[-1]) for s in seen[:, world]]
        assert (np.diff(which) >= 0).all()
        ages.append(np.arange(61) - which)
    assert np.max(ages) <= 4 and np.max(ages) >= 2  # 0.2 s are four control steps


def rest_of(name, body, steps=30, n=64):
    """Noise-free and distorted observations of the same rollout, (steps + 1, n, o)."""
    clean, odd = env_of(name, n), env_of(name, n, it=body)
    a, b = [clean.reset(seed=0)[0]], [odd.reset(seed=0)[0]]
    for action in actions_for(clean, steps):
        a.append(clean.step(action)[0])
        b.append(odd.step(action)[0])
    return np.array(a), np.array(b)


def test_a_bias_stays_for_the_episode_and_differs_between_numbers_and_worlds():
    clean, seen = rest_of(CHEETAH, {"type": "observation_bias", "set": 0.2})
    bias = seen - clean
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=1e-12)
    assert stats.kstest(bias[0].ravel() / 0.2, "norm").pvalue > 1e-3


def test_a_stuck_sensor_shows_its_first_value_for_ever():
    clean, seen = rest_of(CHEETAH, {"type": "stuck_sensor", "set": 0.25})
    stuck = (seen == seen[0]).all(axis=0)
    assert abs(stuck.mean() - 0.25) < 0.06
    np.testing.assert_array_equal(seen[:, ~stuck], clean[:, ~stuck])
    np.testing.assert_array_equal(seen[0], clean[0])


def test_quantized_numbers_are_multiples_of_the_step():
    clean, seen = rest_of(CHEETAH, {"type": "quantization", "set": 0.05})
    np.testing.assert_allclose(seen / 0.05, np.rint(seen / 0.05), atol=1e-9)
    assert np.abs(seen - clean).max() <= 0.025 + 1e-12


def test_channels_say_which_numbers_are_distorted():
    clean, seen = rest_of(CHEETAH, {"type": "observation_noise", "set": 0.1, "channels": [0, "3:5", "9"]}, 5)
    changed = (clean != seen).any(axis=(0, 1))
    assert np.flatnonzero(changed).tolist() == [0, 3, 4, 9]


def test_a_channel_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="channel 17 does not exist; the observation has 17 numbers"):
        env_of(CHEETAH, it={"type": "observation_noise", "set": 0.1, "channels": [17]})


@pytest.mark.parametrize("env", [HOPPER, "gymnasium.envs.mujoco.hopper_v5:HopperEnv"])
def test_a_channel_that_does_not_exist_is_refused_at_load_with_its_line(env):
    text = f"env: {env}\nrandomize:\n  n:\n    type: observation_noise\n    set: 0.1\n    channels: [11]\n"
    with pytest.raises(SpecError, match=r"s\.yaml:6: randomize\.n\.channels: channel 11 does not exist"):
        load_text(text, "s.yaml", CATALOG)


@pytest.mark.parametrize(
    "body, expected",
    [
        ({"type": "dead_zone", "set": 0.3}, lambda a, held: np.sign(a) * np.maximum(np.abs(a) - 0.3, 0)),
        ({"type": "backlash", "set": 0.4}, lambda a, held: np.clip(held, a - 0.2, a + 0.2)),
    ],
)
def test_what_actuators_do_to_actions(body, expected):
    env = env_of(CHEETAH, 3, it=body)
    env.reset(seed=0)
    actions = actions_for(env, 30)
    seen = applied_actions(env, actions)[::5]
    held = actions[0].astype(float)
    for action, got in zip(actions, seen, strict=True):
        held = expected(action.astype(float), held)
        np.testing.assert_allclose(got, held, atol=1e-6)


def test_action_noise_is_on_the_way_and_not_in_the_reward():
    env, clean = env_of(CHEETAH, 64, it={"type": "action_noise", "set": 0.1}), env_of(CHEETAH, 64)
    env.reset(seed=0)
    actions = np.zeros((1, 64, 6), np.float32)
    noise = applied_actions(env, actions)[0]
    assert stats.kstest(noise.ravel() / 0.1, "norm").pvalue > 1e-3
    env.reset(seed=0), clean.reset(seed=0)
    rewards = env.step(actions[0])[1] - clean.step(actions[0])[1]
    assert rewards.std() > 0  # it moves the robot; its square is not charged
    before, after = env.worlds.bind("qpos")[:, 0].copy(), env.step(actions[0])[1]
    np.testing.assert_allclose(after, (env.worlds.bind("qpos")[:, 0] - before) / env.period, atol=1e-12)


def test_distortions_act_in_the_order_of_the_spec():
    coarse = {"type": "quantization", "set": 0.5}
    noise = {"type": "observation_noise", "set": 0.01}
    first, last = env_of(HOPPER, a=coarse, b=noise), env_of(HOPPER, a=noise, b=coarse)
    assert (first.reset(seed=0)[0] % 0.5 != 0).any()
    assert (last.reset(seed=0)[0] % 0.5 == 0).all()


def test_the_impulse_of_a_push_is_force_times_duration():
    # A free box in the air: its momentum is what was pushed into it.
    body = {"type": "push", "select": "object0", "set": 20, "every": "0.4 s", "duration": "70 ms"}
    env = env_of(PUSH, 16, push=body)
    total = np.zeros((16, 6))
    env.reset(seed=1)
    for action in np.zeros((30, 16, 4), np.float32):  # 1.2 s: three pushes
        env.step(action)
        total += env.worlds.bind("xfrc_applied").reshape(16, -1, 6).sum(axis=1) * env.period
    pushes = np.abs(total[:, :2])
    assert (total[:, 2:] == 0).all() and (pushes > 0).any()
    env.reset(seed=1)
    impulses = np.zeros(16)
    for action in np.zeros((10, 16, 4), np.float32):  # one interval: all of one push
        env.step(action)
        force = env.worlds.bind("xfrc_applied").reshape(16, -1, 6)[:, env.program.model.body("object0").id]
        impulses += np.linalg.norm(force[:, :2], axis=1) * env.period
    np.testing.assert_allclose(impulses, 20 * 0.07, rtol=1e-9)


def test_a_constant_force_is_that_force():
    body = {"type": "external_force", "select": "torso", "axes": "xz", "set": [-5, 5]}
    env = env_of(HOPPER, 5, f=body)
    env.reset(seed=0)
    env.step(actions_for(env, 1)[0])
    force = env.worlds.bind("xfrc_applied").reshape(5, -1, 6)
    torso = env.program.model.body("torso").id
    np.testing.assert_array_equal(force[:, torso][:, [0, 2]], env.worlds.values)
    assert (np.delete(force, torso, axis=1) == 0).all()


@pytest.mark.parametrize("name", [HOPPER, PUSH])
def test_the_control_period_stays_when_the_time_step_varies(name):
    env = env_of(
        name, 4, fixed(np.array([[0.5], [1.0], [2.0], [0.7]])), dt={"type": "timestep", "scale": [0.5, 2]}
    )
    env.reset(seed=0)
    start = env.worlds.bind("time").copy()
    for k in range(1, 6):
        env.step(np.zeros((4, env._actions), np.float32))
        np.testing.assert_allclose(env.worlds.bind("time") - start, k * env.period, rtol=1e-9)
    skip = make_task(name).frame_skip
    assert env.signals.frame_skip.tolist() == [2 * skip, skip, skip // 2, round(skip / 0.7)]
    np.testing.assert_allclose(env.applied[:, 0], skip / env.signals.frame_skip)


def test_another_time_step_equals_a_model_compiled_with_it():
    task = make_task(HOPPER)
    env = env_of(HOPPER, 1, fixed(np.array([[0.001]])), dt={"type": "timestep", "set": [0.001, 0.002]})
    env.reset(seed=0)
    model = task.compile()
    model.opt.timestep = 0.001
    ctrl = actions_for(env, 20)
    qpos, qvel = env.worlds.bind("qpos")[0].copy(), env.worlds.bind("qvel")[0].copy()
    slow = np.repeat(ctrl[:, 0], 8, axis=0)
    path = plant.loop(model, qpos, qvel, slow, np.zeros((len(slow), 3)))[7::8]
    for action, expected in zip(ctrl, path, strict=True):
        env.step(action)
        np.testing.assert_array_equal(
            np.concatenate([env.worlds.bind("qpos"), env.worlds.bind("qvel")], 1)[0], expected
        )


def test_nominal_timesteps_stay_bit_for_bit():
    program = env_of(HOPPER, 1, dt={"type": "timestep", "set": [0.001, 0.002]}).program
    steps, timestep = clocked(program, np.array([[0.002]]), 0.008)
    assert steps.tolist() == [4] and timestep.tolist() == [program.model.opt.timestep]


def test_what_a_policy_may_see_is_what_was_applied():
    terms = {
        "lag": {"type": "action_latency", "set": [0, 0.04]},
        "m": {"type": "mass", "select": "torso", "scale": [1, 2]},
    }
    env = env_of(HOPPER, 50, **terms)
    env.reset(seed=0)
    lag, mass = env.applied.T
    np.testing.assert_allclose(lag, np.rint(env.worlds.values[:, 0] / 0.002) * 0.002)
    assert (lag != env.worlds.values[:, 0]).any()
    np.testing.assert_array_equal(mass, env.worlds.values[:, 1])
    assert applied(env.program, env.worlds.values, env.period).shape == (50, 2)


def test_a_drifting_value_is_in_the_model_at_every_step():
    body = {"type": "gravity", "scale": [0.5, 1.5], "when": {"sine": "0.2 s"}}
    env = env_of(HOPPER, 3, g=body)
    env.reset(seed=0)
    seen = []
    for action in actions_for(env, 30):
        env.step(action)
        gravity = [env.worlds.model(i).opt.gravity[2] for i in range(3)]
        np.testing.assert_allclose(gravity, -9.81 * env.worlds.values[:, 0], rtol=1e-12)
        seen.append(env.applied[:, 0])
    assert np.ptp(seen, axis=0).min() > 0.9


def test_a_target_does_not_drift():
    body = {"type": "gravity", "scale": [0.5, 1.5], "when": {"walk": "0.1 s"}}
    env = env_of(HOPPER, 3, fixed(np.array([2.0])), g=body)
    env.reset(seed=0)
    for action in actions_for(env, 5):
        env.step(action)
        assert (env.applied == 2.0).all()


EVERYTHING = {
    "lag": {"type": "action_latency", "set": [0, 0.03]},
    "jitter": {"type": "action_jitter", "set": [0, 0.02]},
    "loss": {"type": "action_loss", "set": 0.1},
    "age": {"type": "observation_latency", "set": [0, 0.03]},
    "shake": {"type": "observation_jitter", "set": [0, 0.02]},
    "drop": {"type": "observation_dropout", "set": 0.1},
    "noise": {"type": "observation_noise", "set": 0.01},
    "play": {"type": "backlash", "set": 0.2},
    "stuck": {"type": "stuck_sensor", "set": 0.1},
    "dt": {"type": "timestep", "scale": {"choice": [0.5, 1]}},
    "push": {"type": "push", "select": "torso", "set": 10, "every": "0.1 s", "duration": "20 ms"},
    "mass": {"type": "mass", "select": "torso", "scale": [0.5, 2], "when": {"walk": "1 s"}},
}


def test_everything_at_once_continues_bit_for_bit():
    whole, half = env_of(HOPPER, 5, **EVERYTHING), env_of(HOPPER, 5, **EVERYTHING)
    whole.reset(seed=4)
    actions = actions_for(whole, 60)
    for action in actions[:30]:
        whole.step(action)
    half.load_state_dict(whole.state_dict())
    for action in actions[30:]:
        a, b = whole.step(action), half.step(action)
        for x, y in zip(a[:4], b[:4], strict=True):
            np.testing.assert_array_equal(x, y)


def test_everything_at_once_does_not_depend_on_how_many_worlds_there_are():
    few, many = env_of(HOPPER, 3, **EVERYTHING), env_of(HOPPER, 9, **EVERYTHING)
    np.testing.assert_array_equal(few.reset(seed=2)[0], many.reset(seed=2)[0][:3])
    actions = actions_for(many, 40)
    for action in actions:
        a, b = few.step(action[:3]), many.step(action)
        np.testing.assert_array_equal(a[0], b[0][:3])
        np.testing.assert_array_equal(a[1], b[1][:3])
