"""Helpers of the physics tests: programs on real models, and plain `mj_step` to compare with."""

import copy
from functools import cache

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS

from randomizers import lookup
from sim2real.envs import make_task
from sim2real.envs.task import Random
from sim2real.spec import Program
from sim2real.worlds import Worlds

TOP = 1 - 2.0**-53


@cache
def task_and_model(name):
    task = make_task(name)
    return task, task.compile()


def read_term(body):
    return lookup(body["type"]).model_validate(body)


def program_on(name, **terms):
    return Program(task_and_model(name)[1], {key: read_term(body) for key, body in terms.items()})


def field(model, name):
    for part in name.split("."):
        model = getattr(model, part)
    return np.asarray(model)


def differing(model, other, names=MODEL_FIELDS):
    """Names of the fields that are not equal bit for bit."""
    return sorted(n for n in names if field(model, n).tobytes() != field(other, n).tobytes())


def edited(program, v):
    """The nominal model with the fields of one domain, made with plain MuJoCo."""
    model = copy.copy(program.model)
    for name, rows in program.fields(v[None]).items():
        field(model, name)[...] = rows[0].reshape(field(model, name).shape)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def start_and_controls(name, n, steps, seed=0):
    """Random states and controls: qpos (n, nq), qvel (n, nv), ctrl (steps, n, nu), mocap (steps, n, 3)."""
    task, model = task_and_model(name)
    rng = np.random.default_rng(seed)
    state = task.reset_state(Random(seed, np.arange(n), np.zeros(n, dtype=np.int64)))
    # In Fetch only the box is pushed: its base holds still by a damping of 1e11.
    push = rng.uniform(-0.3, 0.3, (n, model.nv)) * (np.arange(model.nv) >= (model.nv - 6) * model.nmocap)
    ctrl = rng.uniform(-1, 1, (steps, n, model.nu))
    path = np.cumsum(rng.uniform(-1e-3, 1e-3, (steps, n, 3)), axis=0)
    return state["qpos"], state["qvel"] + push, ctrl, getattr(task, "home", np.zeros(3)) + path


def loop(model, qpos, qvel, ctrl, mocap):
    """Roll one world out by plain mj_step: (steps, nq + nv)."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_forward(model, data)
    path = []
    for u, place in zip(ctrl, mocap, strict=True):
        data.ctrl[:] = u
        if model.nmocap:
            data.mocap_pos[0] = place
        mujoco.mj_step(model, data)
        path.append(np.concatenate([data.qpos, data.qvel]))
    assert not data.warning.number.any()
    return np.array(path)


def put(worlds, qpos, qvel):
    worlds.reset(np.arange(worlds.num_worlds))
    worlds.bind("qpos")[:], worlds.bind("qvel")[:] = qpos, qvel
    worlds.forward()


def advance(worlds, u, place):
    worlds.bind("ctrl")[:] = u
    if worlds.program.model.nmocap:
        worlds.bind("mocap_pos")[:, 0] = place
    worlds.step(1)
    return np.concatenate([worlds.bind("qpos"), worlds.bind("qvel")], 1)


def together(worlds, qpos, qvel, ctrl, mocap):
    """Roll all worlds out: (steps, n, nq + nv)."""
    put(worlds, qpos, qvel)
    path = np.array([advance(worlds, u, place) for u, place in zip(ctrl, mocap, strict=True)])
    assert not worlds.failed.any()
    return path


def worlds_in(program, values, threads=1):
    worlds = Worlds(program, len(values), threads)
    worlds.set_domains(np.arange(len(values)), values)
    return worlds


def record_controls(worlds):
    """Let worlds write down `ctrl` of every physics step, whether they step or play."""
    controls, step, play = [], worlds.step, worlds.play

    def stepping(nstep, ids=None):
        controls.extend([worlds.bind("ctrl").copy()] * nstep)
        step(nstep, ids)

    def playing(given, ids, record=()):
        assert len(ids) == worlds.num_worlds
        controls.extend(given[:, k].astype(np.float64) for k in range(given.shape[1]))
        return play(given, ids, record)

    worlds.step, worlds.play = stepping, playing
    return controls
