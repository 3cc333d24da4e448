"""Pictures as observations: in the worlds' own looks, of the right moment, and fit for other libraries."""

import copy

import gymnasium as gym
import mujoco
import numpy as np
import plant
import pytest
from gymnasium.spaces import Box, Dict
from gymnasium.wrappers import FrameStackObservation
from stable_baselines3 import SAC
from stable_baselines3.common.env_checker import check_env

from sim2real.envs import make_task
from sim2real.envs.pixels import PixelObservation, VectorPixelObservation
from sim2real.envs.single import TaskEnv
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wrapper import RandomizedEnv, model_of
from sim2real.spec import Program

HOPPER, CART, PUSH = "Hopper-v5", "InvertedDoublePendulum-v5", "FetchPush-v4"
LOOKS = {
    "colour": {"type": "geom_color", "select": ".*", "add": "±0.3"},
    "view": {"type": "camera_angle", "select": ".*", "add": "±3 deg"},
    "noise": {"type": "image_noise", "set": [0.01, 0.05]},
}
PAINT = {"paint": {"type": "texture", "select": ".*"}}
SIZE = (40, 36)


def terms(bodies):
    return {name: plant.read_term(body) for name, body in bodies.items()}


def vector(name, n, bodies=LOOKS, **options):
    task = make_task(name)
    return TaskVectorEnv(task, n, Program(task.compile(), terms(bodies)), threads=1, **options)


def single(name, bodies=LOOKS):
    return TaskEnv(vector(name, 1, bodies, autoreset=False))


def randomized(name, bodies=LOOKS):
    env = gym.make(name)
    return RandomizedEnv(env, Program(copy.copy(model_of(env)), terms(bodies)))


class Fake(gym.Env):
    """Counts its steps in the picture, and fails when told."""

    observation_space, action_space = Box(-1, 1, (2,)), Box(-1, 1, (1,))

    def __init__(self):
        self.count, self.asked = 0, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.count += 1
        return np.full(2, 0.5, np.float32), 0.0, False, False, {"failed": True} if self.count == 2 else {}

    def picture(self, width, height, *camera):
        self.asked.append((width, height, *camera))
        return np.full((height, width, 3), self.count, np.uint8)


def test_the_interface_is_a_method_picture_and_nothing_else():
    fake = Fake()
    env = PixelObservation(fake, (5, 4), "side", keep_state=True)
    first, _ = env.reset()
    assert env.observation_space.contains(first) and first["pixels"].shape == (4, 5, 3)
    shown = [env.step(np.zeros(1))[0]["pixels"].max() for _ in range(3)]
    assert shown == [1, 1, 3], "a failed world shows its last good picture"
    assert set(fake.asked) == {(5, 4, "side")}


def test_an_environment_without_pictures_is_refused():
    with pytest.raises(ValueError, match="takes no pictures; wrap it in RandomizedEnv"):
        PixelObservation(gym.make("CartPole-v1"))


@pytest.mark.parametrize("make", [single, randomized])
def test_a_single_environment_shows_its_own_picture(make):
    env = PixelObservation(make(HOPPER, LOOKS | PAINT), SIZE, camera="track")
    assert env.observation_space == Box(0, 255, (36, 40, 3), np.uint8)
    seen = [env.reset(seed=3)[0]]
    env.action_space.seed(0)
    for _ in range(3):
        seen.append(env.step(env.action_space.sample())[0])
        np.testing.assert_array_equal(seen[-1], env.get_wrapper_attr("picture")(*SIZE, "track"))
    again = [env.reset(seed=3)[0]]
    env.action_space.seed(0)
    again += [env.step(env.action_space.sample())[0] for _ in range(3)]
    np.testing.assert_array_equal(seen, again)
    assert all(env.observation_space.contains(x) and x.std() > 10 for x in seen)
    assert (env.reset()[0] != seen[0]).mean() > 0.3, "the next episode has other looks"
    env.close()


def test_a_wrapped_environment_and_the_native_one_show_the_same_nominal_picture():
    native, wrapped = single(HOPPER, {}), randomized(HOPPER, {"m": {"type": "image_blur", "set": 0}})
    native.reset(seed=0)
    wrapped.reset(seed=0)
    data, world = wrapped.unwrapped.data, native.vector.worlds
    native.vector.worlds.bind("qpos")[0] = data.qpos
    mujoco.mj_step(wrapped.unwrapped.model, data)
    world.bind("qpos")[0] = data.qpos
    # The native task lets the floor go on for ever in pictures.
    native.vector.task.dress = lambda model: None
    a, b = native.picture(64, 64, "track"), wrapped.picture(64, 64, "track")
    assert (np.abs(a.astype(int) - b) > 2).mean() < 1e-3
    native.close()
    wrapped.close()


@pytest.mark.parametrize("name, keys", [(HOPPER, {"pixels", "state"}), (PUSH, {"pixels", "observation",
                         "achieved_goal", "desired_goal"})])  # fmt: skip
def test_the_state_may_stay_beside_the_pixels(name, keys):
    for env in (
        PixelObservation(single(name), SIZE, keep_state=True),
        VectorPixelObservation(vector(name, 2), SIZE, keep_state=True),
    ):
        plain = single(name) if isinstance(env, PixelObservation) else vector(name, 2)
        state, _ = plain.reset(seed=1)
        seen, _ = env.reset(seed=1)
        assert isinstance(env.observation_space, Dict) and set(seen) == keys
        assert env.observation_space.contains(seen)
        kept = seen["state"] if "state" in keys else {k: v for k, v in seen.items() if k != "pixels"}
        np.testing.assert_equal(kept, state)
        env.close()


def test_a_batch_shows_each_world_as_it_looks():
    env = VectorPixelObservation(vector(HOPPER, 3, LOOKS | PAINT), SIZE)
    assert env.single_observation_space == Box(0, 255, (36, 40, 3), np.uint8)
    first, _ = env.reset(seed=0)
    assert env.observation_space.contains(first) and first.shape == (3, 36, 40, 3)
    assert all((first[i] != first[j]).mean() > 0.3 for i, j in ((0, 1), (0, 2), (1, 2)))
    seen, *_ = env.step(np.zeros((3, 3), np.float32))
    for world in range(3):
        np.testing.assert_array_equal(seen[world], env.env.picture(world, *SIZE))
    np.testing.assert_array_equal(env.reset(seed=0)[0], first)
    alone = VectorPixelObservation(vector(HOPPER, 1, LOOKS | PAINT), SIZE)
    np.testing.assert_array_equal(alone.reset(seed=0)[0][0], first[0])
    alone.close()
    env.close()


def test_no_picture_depends_on_the_one_before():
    # MuJoCo centres infinite planes, such as Hopper's floor in pictures, below the camera of the last frame.
    env = vector(HOPPER, 2, {})
    env.reset(seed=0)
    env.worlds.bind("qpos")[1, 0] = 3.3
    first = env.picture(0, 80, 80)
    env.picture(1, 80, 80)
    np.testing.assert_array_equal(env.picture(0, 80, 80), first)
    env.close()


@pytest.mark.parametrize("keep_state", [False, True])
def test_the_final_observation_shows_the_state_in_which_the_episode_ended(keep_state):
    pixels = (lambda x: x["pixels"]) if keep_state else (lambda x: x)
    env = VectorPixelObservation(vector(CART, 3), SIZE, keep_state=keep_state)
    twin = VectorPixelObservation(vector(CART, 3, autoreset=False), SIZE, keep_state=keep_state)
    env.reset(seed=5)
    twin.reset(seed=5)
    ended = 0
    for step in range(60):
        actions = np.full((3, 1), (-1) ** (step // 5), np.float32)
        seen, _, terminated, _, infos = env.step(actions)
        true, _, twin_terminated, _, _ = twin.step(actions)
        np.testing.assert_array_equal(terminated, twin_terminated)
        for world in np.flatnonzero(terminated):
            final = infos["final_obs"][world]
            assert env.single_observation_space.contains(final)
            np.testing.assert_array_equal(pixels(final), pixels(true)[world])
            assert (pixels(seen)[world] != pixels(final)).any()
            ended += 1
        if terminated.any():
            mask = {"reset_mask": twin_terminated}
            np.testing.assert_array_equal(pixels(twin.reset(options=mask)[0]), pixels(seen))
    assert ended >= 3
    env.close()
    twin.close()


def test_a_failed_world_ends_with_its_last_good_picture():
    env = VectorPixelObservation(vector(CART, 2), SIZE)
    before, _ = env.reset(seed=0)
    env.env.worlds.bind("qvel")[1] = np.nan
    seen, _, terminated, _, infos = env.step(np.zeros((2, 1), np.float32))
    assert infos["failed"].tolist() == [False, True] == terminated.tolist()
    np.testing.assert_array_equal(infos["final_obs"][1], before[1])
    assert (seen[1] != before[1]).any() and not env.env.worlds.failed.any()
    env.close()


@pytest.mark.parametrize(
    "body, message",
    [
        ({"type": "observation_latency", "set": "20 ms"}, "it would not act on pictures"),
        ({"type": "observation_noise", "set": 0.1}, "it would not act on pictures; image_noise"),
    ],
)
def test_what_pictures_would_not_follow_is_refused(body, message):
    for env, wrapper in ((single(HOPPER, {"it": body}), PixelObservation),
                         (randomized(HOPPER, {"it": body}), PixelObservation),
                         (vector(HOPPER, 1, {"it": body}), VectorPixelObservation)):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            wrapper(env)


def test_noise_may_act_on_the_state_beside_the_pixels():
    env = PixelObservation(single(HOPPER, {"it": {"type": "observation_noise", "set": 0.1}}), keep_state=True)
    env.reset(seed=0)
    env.close()


def test_gymnasiums_frame_stack_composes():
    env = FrameStackObservation(PixelObservation(single(CART), SIZE), 4)
    assert env.observation_space == Box(0, 255, (4, 36, 40, 3), np.uint8)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(np.ones(1, np.float32))
    np.testing.assert_array_equal(second[:3], first[1:])
    assert (second[3] != second[2]).any()
    env.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keep_state", [False, True])
def test_stable_baselines3_checks_and_learns(keep_state):
    env = PixelObservation(single(CART), (36, 36), keep_state=keep_state)
    check_env(env)
    policy = "MultiInputPolicy" if keep_state else "CnnPolicy"
    options = dict(net_arch=[16], features_extractor_kwargs={} if keep_state else {"features_dim": 16})
    agent = SAC(policy, env, buffer_size=50, learning_starts=8, batch_size=4, policy_kwargs=options, seed=0)
    agent.learn(12)
    action, _ = agent.predict(env.reset()[0])
    assert env.action_space.contains(action)
    env.close()


@pytest.mark.filterwarnings("ignore")
def test_goals_beside_the_pixels_pass_the_check_too():
    env = PixelObservation(single(PUSH), (36, 36), keep_state=True)
    check_env(env)
    env.close()
    assert not hasattr(PixelObservation(Fake()), "compute_reward")
