"""The point and its line: what it costs to be away from it, where it starts, and that pictures show it."""

import numpy as np
import pytest

from sim2real.envs import make_task
from sim2real.envs.make import make_vector
from sim2real.session import CATALOG
from sim2real.spec import load
from sim2real.worlds.render import RenderingUnavailableError

NAME = "PointLine-v0"
SPEC = "assets/specs/soft_q/line.yaml"


def placed(where, **options):
    """Worlds at rest at given places (n, 2)."""
    env = make_vector(NAME, len(where), autoreset=False, threads=1, **options)
    env.reset(seed=0)
    env.worlds.bind("qpos")[:] = where
    env.worlds.forward()
    return env


@pytest.mark.parametrize(
    "axis, at, lines",
    [
        ("x", -3.0, {"linex": ([-3, 0], [0.5, 7])}),
        ("y", 4, {"liney": ([0, 4], [7, 0.5])}),
        ("both", 2.0, {"linex": ([2, 0], [0.5, 7]), "liney": ([0, 2], [7, 0.5])}),
    ],
)
def test_lines_are_marked_as_wide_as_what_counts_as_on_them(axis, at, lines):
    model = make_task(NAME, {"axis": axis, "at": at}).compile()
    marked = {model.site(i).name: model.site(i) for i in range(model.nsite)}
    assert marked.keys() == lines.keys()
    for name, (middle, half) in lines.items():
        np.testing.assert_allclose(marked[name].pos[:2], middle)
        np.testing.assert_allclose(marked[name].size[:2], half)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"axis": "z"}, "axis is one of x, y, both, given 'z'"),
        ({"axis": ["x"]}, "axis is one of x, y, both, given ['x']"),
        ({"at": 7.0}, "at is a place between the walls, −7 to 7 m, given 7.0"),
        ({"at": float("nan")}, "at is a place between the walls, −7 to 7 m, given nan"),
        ({"at": "left"}, "at is a place between the walls, −7 to 7 m, given 'left'"),
        ({"at": True}, "at is a place between the walls, −7 to 7 m, given True"),
        ({"axes": "x"}, "PointLine-v0 has no option 'axes'; did you mean 'axis'?"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ValueError) as error:
        make_task(NAME, options)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "axis, reward, on",
    [
        ("x", [0.0, -0.5, -0.9, -0.2 / 1.2], [True, False, False, True]),
        ("y", [-0.8, 0.0, -0.5, -0.16 / 1.16], [False, True, False, True]),
        ("both", [-0.8, -0.5, -1.4, -0.2 / 1.2 - 0.16 / 1.16], [False, False, False, True]),
    ],
)
def test_reward_and_success_by_hand(axis, reward, on):
    where = np.array([[4.0, 2.0], [3.0, 4.0], [1.0, 5.0], [4.0 - 0.2**0.5, 4.4]])
    env = placed(where, axis=axis)
    _, got, terminated, truncated, infos = env.step(np.zeros((4, 2)))
    np.testing.assert_allclose(got, reward, atol=1e-12)
    np.testing.assert_array_equal(infos["is_success"], on)
    assert not terminated.any() and not truncated.any()


def test_moving_costs_in_the_free_direction_too():
    env = placed(np.full((2, 2), 4.0))
    seen, reward, *_ = env.step(np.array([[0.0, 1.0], [0.0, -0.5]]))
    np.testing.assert_allclose(reward, [-0.1, -0.025], atol=1e-12)
    assert seen[0, 1] > 4.8 and seen[1, 1] < 3.6


def test_two_tasks_have_the_reward_of_both_together():
    where, action = np.random.default_rng(0).uniform(-6, 6, (32, 2)), np.zeros((32, 2))
    x, y, both = (placed(where, axis=axis, at=-2.0).step(action)[1] for axis in ("x", "y", "both"))
    np.testing.assert_allclose(x + y, both, atol=1e-12)


def test_starts_are_all_over_the_plane_whatever_the_line():
    starts = [make_vector(NAME, 2000, threads=1, axis=axis).reset(seed=0)[0] for axis in ("x", "both")]
    np.testing.assert_array_equal(*starts)
    np.testing.assert_allclose(np.abs(starts[0]).max(0), 6.0, atol=0.05)
    np.testing.assert_allclose(starts[0].std(0), 12 / 12**0.5, rtol=0.05)
    assert abs(np.corrcoef(starts[0].T)[0, 1]) < 0.1


def test_nothing_but_30_steps_ends_an_episode():
    env = placed(np.full((1, 2), 4.0))
    ends = [env.step(np.zeros((1, 2)))[2:4] for _ in range(30)]
    assert not any(terminated[0] for terminated, _ in ends)
    assert [truncated[0] for _, truncated in ends] == [False] * 29 + [True]


def test_the_spec_is_of_one_line_and_may_be_set_to_another():
    bundle = load(SPEC, CATALOG)
    assert bundle.spec.env_options == {"axis": "x", "at": 4.0} and list(bundle.targets) == ["sluggish"]
    other = load(SPEC, CATALOG, ("env_options.axis=y", "env_options.at=-2"))
    task = make_task(NAME, other.spec.env_options)
    assert (task.axes, task.at) == ((1,), -2.0)


def test_pictures_show_both_lines():
    env = make_vector(NAME, 1, axis="both", at=-3.0, render_mode="rgb_array")
    env.reset(seed=0)
    try:
        picture = env.picture(0, 120, 120)
    except RenderingUnavailableError:
        pytest.skip("no OpenGL here")
    red = picture[..., 0] > picture[..., 1] + 60.0
    # From above, with y up: a column left of the middle and a row below it, across the floor.
    assert red.sum(0).argmax() < 60 < red.sum(1).argmax()
    assert min(red.sum(0).max(), red.sum(1).max()) > 60
    env.close()
