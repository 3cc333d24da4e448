"""What looks promise beside the contract: the picture changes, and nothing else."""

import mujoco
import numpy as np
import plant
import pytest
from bench import corners, each, fresh, program_on, source, start_and_controls
from samples import VISUAL

from randomizers.registry import BUILTIN
from sim2real.worlds import Studio

pytestmark = pytest.mark.usefixtures("one_context")


@each(VISUAL)
def test_looks_change_the_picture_and_nothing_else(name, body):
    program = program_on(name, it=body)
    values = np.concatenate([program.nominal[None], corners(program)])
    worlds = plant.worlds_in(program, values)
    pictures = [picture(name, worlds.model(i)) for i in range(4)]
    for i in (1, 2, 3):
        assert (pictures[i] != pictures[0]).mean() > 0.05
    qpos, qvel, ctrl, mocap = (np.repeat(x[..., :1, :], 4, axis=-2) for x in start_and_controls(name, 1, 50))
    path = plant.together(worlds, qpos, qvel, ctrl, mocap)
    assert (path == path[:, :1]).all()


@pytest.mark.parametrize("part", ["colors", "lights", "camera"])
@each(VISUAL)
def test_each_part_of_the_looks_changes_the_picture(name, body, part):
    program = program_on(name, it={"type": "visuals", part: body[part]})
    worlds = plant.worlds_in(program, np.concatenate([program.nominal[None], corners(program)[2:]]))
    assert (picture(name, worlds.model(1)) != picture(name, worlds.model(0))).any()


@each(VISUAL)
def test_looks_equal_a_freshly_compiled_model(name, body):
    program = program_on(name, it=body)
    v = corners(program)[2]
    worlds = plant.worlds_in(program, v[None])
    anew = compiled_looks(name, program, v)
    for field in BUILTIN["visuals"].writes:
        # float32 fields; the compiler also normalizes quaternions.
        np.testing.assert_allclose(
            plant.field(worlds.model(0), field), plant.field(anew, field), atol=1e-7, err_msg=field
        )
    difference = np.abs(picture(name, worlds.model(0)).astype(int) - picture(name, anew).astype(int))
    # A rounded camera pose may move single pixels at edges.
    assert (difference > 2).mean() < 1e-3


def picture(name, model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    studio = Studio(model, 120, 120)
    try:
        return studio.render(data, plant.task_and_model(name)[0].camera)
    finally:
        studio.close()


def compiled_looks(name, program, v):
    """Write a domain of looks into the model's source, by the names of its parameters."""
    spec, nominal = source(name), program.model
    by_id = {
        kind: {x.id: x for x in getattr(spec, kind)} for kind in ("geoms", "materials", "lights", "cameras")
    }
    turns = {}
    for name, value in zip(program.names, v, strict=True):
        _, part, what, how = name.split(".")
        if part == "colors":
            kind = "geoms" if what.startswith("geom") else "materials"
            element = by_id[kind][int(what.removeprefix(kind[:-1]))]
            column = ("red", "green", "blue").index(how)
            element.rgba[column] = np.clip(element.rgba[column] + np.float32(value), 0, 1)
        elif how == "diffuse":
            light = spec.visual.headlight if what == "head" else by_id["lights"][int(what)]
            light.diffuse = np.asarray(light.diffuse) * (1 + value)
        elif part == "lights":
            by_id["lights"][int(what)].pos["xyz".index(how)] += value
        elif how.startswith("turn"):
            turns.setdefault(int(what), []).append(value)
        else:
            by_id["cameras"][int(what)].pos["xyz".index(how)] += value
    for i, angles in turns.items():
        quat = nominal.cam_quat[i].copy()
        mujoco.mju_quatIntegrate(quat, np.array(angles), 1.0)
        camera = by_id["cameras"][i]
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        camera.quat = quat
    return fresh(spec)
