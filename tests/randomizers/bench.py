"""What the contract tests run on: a model and its source for each name, and programs of one term."""

import copy
import functools
import warnings
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
import plant
import pytest

from randomizers import Randomizer
from randomizers.inertia import general_bodies
from sim2real.envs.task import add_view
from sim2real.spec import Program, Stream

MODELS = Path(__file__).parent / "models"
ZOO = "zoo"


def each(cases):
    return pytest.mark.parametrize("name, body", [pytest.param(*case[1:], id=case[0]) for case in cases])


def fresh(spec):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*settotalmass")
        return spec.compile()


def source(name, general=()):
    """The model's source as a compiled MjSpec; the `general` bodies are not compiled as simple."""
    if (MODELS / f"{name}.xml").exists():
        spec = mujoco.MjSpec.from_file(str(MODELS / f"{name}.xml"))
    else:
        made = plant.task_and_model(name)[0]
        spec = mujoco.MjSpec.from_file(str(made.xml))
        made.prepare(spec)
        if not isinstance(made.view, str):
            add_view(spec, **made.view)
    fresh(spec)  # gives every element its id
    if general:
        for body in spec.bodies:
            body.simple = 0 if body.id in general else body.simple
        fresh(spec)
    return spec


@cache
def model_of(name, general=()):
    if general or (MODELS / f"{name}.xml").exists():
        return fresh(source(name, general))
    return plant.task_and_model(name)[1]


def general_in(name, *terms):
    """The bodies that must not be compiled as simple for some terms."""
    ids = [general_bodies(t, model_of(name)) for t in terms if isinstance(t, Randomizer)]
    return tuple(sorted({int(i) for found in ids for i in found}))


def program_on(name, **bodies):
    terms = {key: plant.read_term(body) for key, body in bodies.items()}
    return Program(model_of(name, general_in(name, *terms.values())), terms)


def edited(program, v):
    """The nominal model with the fields of one domain, made with plain MuJoCo."""
    model = copy.copy(program.model)
    for name, rows in program.fields(v[None]).items():
        *owners, last = name.split(".")
        owner = functools.reduce(getattr, owners, model)
        if np.ndim(getattr(owner, last)):
            getattr(owner, last)[...] = rows[0].reshape(getattr(owner, last).shape)
        else:
            setattr(owner, last, rows[0])
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def corners(program):
    """Domains at the low end, the high end and in between, (3, d)."""
    middle = Stream(0, "corners").uniform(np.arange(1), np.arange(1), program.d)
    return program.values(
        np.concatenate([np.zeros((1, program.d)), np.full((1, program.d), plant.TOP), middle])
    )


def start_and_controls(name, n, steps, seed=0):
    """As `plant.start_and_controls`, also for the models of this folder."""
    if not (MODELS / f"{name}.xml").exists():
        return plant.start_and_controls(name, n, steps, seed)
    model, rng = model_of(name), np.random.default_rng(seed)
    qvel = rng.uniform(-1, 1, (n, model.nv))
    ctrl = rng.uniform(-1, 1, (steps, n, model.nu))
    return np.repeat(model.qpos0[None], n, axis=0), qvel, ctrl, np.zeros((steps, n, 3))


def roll(program, values, name, steps=100):
    """Roll the same start and controls out in each domain: (steps, n, nq + nv)."""
    begin = (np.repeat(x, len(values), axis=-2) for x in start_and_controls(name, 1, steps))
    return plant.together(plant.worlds_in(program, values), *begin)


def fields_of(term, model, values):
    """The fields of one term, in a process of its own."""
    return Program(model, {"it": term}).fields(values)
