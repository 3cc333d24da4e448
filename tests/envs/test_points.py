"""The point among several goals: where they are, what it costs to go there, and that pictures show them."""

import mujoco
import numpy as np
import pytest

from sim2real.envs import make_task
from sim2real.envs.make import make_vector
from sim2real.session import CATALOG
from sim2real.spec import load
from sim2real.worlds.render import RenderingUnavailableError

NAME = "PointGoals-v0"


def placed(where, **options):
    """Worlds at rest at given places (n, 2)."""
    env = make_vector(NAME, len(where), autoreset=False, **options)
    env.reset(seed=0)
    env.worlds.bind("qpos")[:] = where
    env.worlds.forward()
    return env


@pytest.mark.parametrize("goals, rotation", [(1, 0.0), (3, 0.0), (4, 0.0), (5, 0.4)])
def test_goals_lie_evenly_on_a_circle_from_the_rotation_on(goals, rotation):
    task = make_task(NAME, {"goals": goals, "rotation": rotation})
    expected = 5 * np.exp(1j * (rotation + 2 * np.pi * np.arange(goals) / goals))
    np.testing.assert_allclose(task.goals[:, 0] + 1j * task.goals[:, 1], expected, atol=1e-12)
    model = task.compile()
    marked = [model.site(f"goal{i}") for i in range(goals)]
    np.testing.assert_allclose([site.pos[:2] for site in marked], task.goals)
    assert model.nsite == goals and all(site.size[0] == 1.0 for site in marked)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"goals": 0}, "goals is a whole number from 1 on, given 0"),
        ({"goals": 2.5}, "goals is a whole number from 1 on, given 2.5"),
        ({"rotation": float("nan")}, "rotation is an angle"),
        ({"rotation": "left"}, "rotation is an angle"),
        ({"gaols": 3}, "PointGoals-v0 has no option 'gaols'; did you mean 'goals'?"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ValueError) as error:
        make_task(NAME, options)
    assert says in str(error.value)


def test_a_step_goes_as_far_as_a_first_order_servo():
    env = placed(np.zeros((2, 2)))
    seen, *_ = env.step(np.array([[1.0, 0.0], [0.0, -0.5]]))
    # mass 1 under damping 10: the velocity is (1 - exp(-10 t)) times the one asked for. Implicit steps of
    # 50 ms are of first order, and half a time constant long.
    far = 1.0 - 0.1 * (1.0 - np.exp(-10.0))
    np.testing.assert_allclose(seen, [[far, 0.0], [0.0, -0.5 * far]], atol=0.06)
    again, *_ = env.step(np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert again[0, 0] - seen[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_reward_end_and_success_by_hand():
    where = np.array([[3.0, 1.0], [4.5, 0.0], [0.0, -4.0], [0.0, -4.1]])
    env = placed(where)
    _, reward, terminated, truncated, infos = env.step(np.zeros((4, 2)))
    # (3, 1) is at a squared distance of 5 from (5, 0); the last two are on and within (0, -5)'s threshold.
    np.testing.assert_allclose(reward, [-0.5, 1 - 0.025, -0.1, 1 - 0.081], atol=1e-12)
    np.testing.assert_array_equal(terminated, [False, True, False, True])
    np.testing.assert_array_equal(infos["is_success"], terminated)
    assert not truncated.any()
    pushed = placed(np.zeros((1, 2)))
    seen, reward, *_ = pushed.step(np.array([[0.5, -1.0]]))
    nearest = np.min(np.square(seen[0] - pushed.task.goals).sum(1))
    assert reward[0] == pytest.approx(-3 * 1.25 - 0.1 * nearest)


def test_starts_are_near_the_middle_and_the_box_holds():
    env = make_vector(NAME, 2000, goals=3)
    start, _ = env.reset(seed=0)
    np.testing.assert_allclose(start.std(0), 0.1, rtol=0.1)
    assert not env.worlds.bind("qvel").any()
    corner = placed(np.full((1, 2), 6.5))
    for _ in range(10):
        seen, *_ = corner.step(np.ones((1, 2)))
    assert (seen < 7.2).all() and (seen > 6.9).all()


def test_an_episode_is_truncated_after_30_steps():
    env = placed(np.zeros((1, 2)))
    ends = [env.step(np.zeros((1, 2)))[3][0] for _ in range(30)]
    assert ends == [False] * 29 + [True]


def test_mass_is_felt_and_the_spec_randomizes_it():
    bundle = load("assets/specs/soft_q/goals.yaml", CATALOG)
    assert list(bundle.targets) == ["sluggish"]
    env = make_vector(NAME, 64, "assets/specs/soft_q/goals.yaml")
    env.reset(seed=0)
    mass = np.array([env.worlds.model(i).body("point").mass[0] for i in range(64)])
    env.worlds.bind("qpos")[:] = 0.0
    went = env.step(np.tile([1.0, 0.0], (64, 1)))[0][:, 0]
    assert mass.min() < 0.85 and mass.max() > 1.2
    assert np.corrcoef(mass, went)[0, 1] < -0.99


def test_pictures_show_the_goals():
    env = make_vector(NAME, 1, goals=4, render_mode="rgb_array")
    env.reset(seed=0)
    try:
        picture = env.picture(0, 120, 120)
    except RenderingUnavailableError:
        pytest.skip("no OpenGL here")
    red = picture[..., 0] > picture[..., 1] + 60.0
    rows, columns = np.nonzero(red)
    assert red.sum() > 100
    # From above, with y up: something on either side of the middle, and above and below it.
    assert rows.min() < 40 < 80 < rows.max() and columns.min() < 40 < 80 < columns.max()
    env.close()


def test_its_model_is_beside_its_module_and_packaged():
    task = make_task(NAME)
    assert task.xml.is_file() and task.xml.parent.name == "tasks"
    assert mujoco.MjModel.from_xml_path(str(task.xml)).nu == 2
