"""The point at a crossing: what its corridors let through, and what the reward says of it."""

import numpy as np
import pytest

from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.session import CATALOG
from sim2real.spec import load

NAME = "PointCorridors-v0"
WAYS = {"east": (1.0, 0.0), "north": (0.0, 1.0), "west": (-1.0, 0.0), "south": (0.0, -1.0)}


@pytest.fixture(scope="module")
def bundle():
    return load("assets/specs/entropy/corridors.yaml", CATALOG)


def walked(bundle, domain):
    """The returns (4,) and whereabouts (4, 2) of walking an episode in each direction in one domain."""
    env = make_worlds(NAME, {}, bundle.program, 4, fixed(domain), threads=1, same_step=False)
    env.reset(seed=0)
    action, total, start = np.array(list(WAYS.values())), np.zeros(4), env.worlds.bind("qpos").copy()
    for _ in range(20):
        seen, reward, _, truncated, infos = env.step(action)
        total += reward
    assert truncated.all()
    np.testing.assert_array_equal(infos["is_success"], np.linalg.norm(seen, axis=1) >= 6)
    far = np.linalg.norm(seen, axis=1) - np.linalg.norm(start, axis=1)
    np.testing.assert_allclose(total, far - 20 * 0.02, atol=1e-9)
    return seen


def test_all_corridors_are_open_in_the_nominal_domain(bundle):
    seen = walked(bundle, bundle.program.nominal)
    assert (np.linalg.norm(seen, axis=1) > 6.4).all()


def test_the_source_leaves_them_open(bundle):
    widest = bundle.program.values(np.ones((1, bundle.program.d)))[0]
    assert (np.linalg.norm(walked(bundle, widest), axis=1) > 6.4).all()


@pytest.mark.parametrize("way", WAYS)
def test_a_target_leaves_one_open(bundle, way):
    far = np.linalg.norm(walked(bundle, bundle.targets[way].v), axis=1)
    for other, reached in zip(WAYS, far, strict=True):
        # A gate is a metre thick on either side of 4 m, and the point has a radius of 0.3 m.
        assert reached > 6.4 if other == way else reached == pytest.approx(2.7, abs=0.1)


def test_walls_let_the_point_slide_into_a_corridor(bundle):
    env = make_worlds(NAME, {}, bundle.program, 1, fixed(bundle.program.nominal), threads=1)
    env.reset(seed=0)
    for _ in range(15):
        seen, *_ = env.step(np.array([[1.0, 0.3]]))
    assert seen[0, 0] > 6 and abs(seen[0, 1]) < 0.8
