"""What a randomizer does, done again in the model's source and compiled: the other side of the contract.

Nothing here uses the randomizers' own code; each edit says once more what its name means.
"""

import mujoco
import numpy as np
from bench import fresh, general_in, source

# How far a rollout may be from that of the compiled model, where not bit for bit.
ROUNDED = {
    "density": "the mass is multiplied by ρ' / ρ here, and by the factor itself in the source",
    "pseudo_inertia": "the compiler diagonalizes a full inertia by another algorithm",
    "payload": "the compiler diagonalizes a full inertia by another algorithm",
    "gravity_tilt": "the source is turned by quaternions",
}


def compiled(name, program, body, v):
    """Write one domain into the model's source, element by element, and compile it."""
    term, nominal = program.bound[0].term, program.model
    spec = source(name, general_in(name, term))
    if body["type"] in BY_LABEL:
        BY_LABEL[body["type"]](spec, nominal, body, _by_label(term, program, v))
        return fresh(spec)
    operation = next(key for key in ("scale", "add", "set") if key in body)
    chosen = [int(i) for i in term.selection(nominal).ids] if "select" in body else [0]
    assert len(v) in (1, len(chosen))

    def number(k):
        value = v[min(k, len(v) - 1)]
        return lambda before: {"scale": before * value, "add": before + value, "set": value}[operation]

    edit = EDITS[body["type"]]
    changes = [(i, number(k)) for k, i in enumerate(chosen)]
    if body["type"] == "payload":
        edit_payload(spec, nominal, changes, body.get("at"))
    else:
        edit(spec, nominal, changes)
    return fresh(spec)


def _by_label(term, program, v):
    """{element id or None: {label: value}}"""
    ids = term.selection(program.model) if hasattr(term, "select") else None
    plain = {n.partition(".")[2]: x for n, x in zip(program.names, v, strict=True)}
    if ids is None or term.share or len(ids.ids) == 1:
        return {int(i): plain for i in (ids.ids if ids else [0])}
    return {
        int(i): {n.removeprefix(f"{label}."): x for n, x in plain.items() if n.startswith(f"{label}.")}
        for i, label in zip(ids.ids, ids.labels, strict=True)
    }


def element(spec, many, i):
    return next(x for x in getattr(spec, many) if x.id == i)


def attribute(many, name, *columns):
    """An edit of an attribute that is the number, or holds it in some columns (by default the first)."""

    def edit(spec, nominal, chosen):
        for i, number in chosen:
            owner = element(spec, many, i)
            now = getattr(owner, name)
            if np.ndim(now) == 0:
                setattr(owner, name, number(now))
            for column in (columns or (0,)) if np.ndim(now) else ():
                now[column] = number(now[column])

    return edit


def factor(many, *names):
    """An edit that multiplies whole attributes."""

    def edit(spec, nominal, chosen):
        for i, number in chosen:
            for name in names:
                getattr(element(spec, many, i), name)[:] *= number(1.0)

    return edit


def width(many):
    def edit(spec, nominal, chosen):
        for i, number in chosen:
            low, high = element(spec, many, i).range
            half = number(high - low) / 2
            element(spec, many, i).range[:] = [(low + high) / 2 - half, (low + high) / 2 + half]

    return edit


def inertials(spec, nominal, new=None):
    """Write every body's inertial out, so that nothing is inferred from geoms any more."""
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    spec.compiler.settotalmass = -1
    for body in spec.bodies[1:]:
        i = body.id
        if nominal.body_mass[i] == 0:
            continue
        body.explicitinertial = True
        body.mass, body.inertia = nominal.body_mass[i], nominal.body_inertia[i]
        body.ipos, body.iquat = nominal.body_ipos[i], nominal.body_iquat[i]
        body.fullinertia = [np.nan, 0, 0, 0, 0, 0]
        if new and i in new:
            new[i](body)


def edit_mass(spec, nominal, chosen):
    def write(number):
        def change(body):
            mass = number(body.mass)
            body.inertia, body.mass = body.inertia * (mass / body.mass), mass

        return change

    inertials(spec, nominal, {i: write(number) for i, number in chosen})


def edit_center(spec, nominal, body, offsets):
    def write(offset):
        def change(body):
            for axis, value in offset.items():
                body.ipos["xyz".index(axis)] += value

        return change

    inertials(spec, nominal, {i: write(offset) for i, offset in offsets.items()})


def spread_of(body):
    """A body's second moment about its centre, in the body's axes."""
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, np.array(body.iquat))
    inertia = turn.reshape(3, 3) @ np.diag(body.inertia) @ turn.reshape(3, 3).T
    return np.trace(inertia) / 2 * np.eye(3) - inertia


def write_full(body, inertia):
    body.inertia, body.iquat = [0, 0, 0], [1, 0, 0, 0]
    body.fullinertia = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]


def edit_pseudo(spec, nominal, body, offsets):
    """By the 4 × 4 pseudo-inertia about the nominal centre, as in the paper."""

    def write(offset):
        def change(body):
            o = {
                key: 0.0 for key in ("alpha", "d1", "d2", "d3", "s12", "s13", "s23", "t1", "t2", "t3")
            } | offset
            pseudo = np.zeros((4, 4))
            pseudo[:3, :3], pseudo[3, 3] = spread_of(body), body.mass
            upper = np.exp(o["alpha"]) * np.array(
                [
                    [np.exp(o["d1"]), o["s12"], o["s13"], o["t1"]],
                    [0, np.exp(o["d2"]), o["s23"], o["t2"]],
                    [0, 0, np.exp(o["d3"]), o["t3"]],
                    [0, 0, 0, 1],
                ]
            )
            pseudo = upper @ pseudo @ upper.T
            mass, first = pseudo[3, 3], pseudo[:3, 3]
            spread = pseudo[:3, :3] - np.outer(first, first) / mass
            body.mass, body.ipos = mass, np.array(body.ipos) + first / mass
            write_full(body, np.trace(spread) * np.eye(3) - spread)

        return change

    inertials(spec, nominal, {i: write(offset) for i, offset in offsets.items()})


def edit_payload(spec, nominal, chosen, at):
    """By the parallel-axis theorem for both about their common centre."""
    place = None if at is None else np.array([float(str(x).replace(" cm", "e-2")) for x in at])

    def write(number):
        def change(body):
            added = number(0.0)
            if place is None:
                body.mass += added
                return
            spread, centre = spread_of(body), np.array(body.ipos)
            whole = (body.mass * centre + added * place) / (body.mass + added)
            for mass, arm in ((body.mass, centre - whole), (added, place - whole)):
                spread = spread + mass * np.outer(arm, arm)
            body.mass, body.ipos = body.mass + added, whole
            write_full(body, np.trace(spread) * np.eye(3) - spread)

        return change

    inertials(spec, nominal, {i: write(number) for i, number in chosen})


def edit_friction_impedance(spec, nominal, chosen):
    for i, number in chosen:
        solimp = element(spec, "joints", i).solimp_friction
        solimp[0] = number(solimp[0])
        solimp[1] = max(solimp[0], solimp[1])


def edit_impedance(many):
    def edit(spec, nominal, chosen):
        for i, number in chosen:
            solimp = element(spec, many, i).solimp
            solimp[1] = number(solimp[1])
            solimp[0] = min(solimp[0], solimp[1])

    return edit


def edit_size(spec, nominal, chosen):
    inertials(spec, nominal)
    factor("geoms", "size")(spec, nominal, chosen)


def edit_limits(spec, nominal, chosen):
    for i, number in chosen:
        element(spec, "joints", i).range[:] += number(0.0)


def edit_offset(spec, nominal, chosen):
    for i, number in chosen:
        joint = element(spec, "joints", i)
        joint.ref, joint.springref = joint.ref + number(0.0), joint.springref + number(0.0)


def edit_broken(spec, nominal, chosen):
    left = [(i, lambda before, number=number: before * (1 - number(0.0))) for i, number in chosen]
    edit_motor(spec, nominal, left)


def edit_motor(spec, nominal, chosen):
    for i, number in chosen:
        for name in ("gainprm", "biasprm", "forcerange"):
            values = getattr(nominal, f"actuator_{name}")[i]
            getattr(element(spec, "actuators", i), name)[: len(values)] = values * number(1.0)


def edit_kp(spec, nominal, chosen):
    for i, number in chosen:
        actuator = element(spec, "actuators", i)
        kp = number(actuator.gainprm[0])
        actuator.gainprm[0], actuator.biasprm[1] = kp, -kp


def edit_kd(spec, nominal, chosen):
    for i, number in chosen:
        actuator = element(spec, "actuators", i)
        kd = number(-actuator.biasprm[2])
        actuator.biasprm[2] = -kd
        if actuator.biasprm[1] == 0:  # a velocity servo
            actuator.gainprm[0] = kd


def edit_gravity(spec, nominal, chosen):
    ((_, number),) = chosen
    size = float(np.linalg.norm(nominal.opt.gravity))
    direction = nominal.opt.gravity if size else np.array([0.0, 0.0, -1.0])
    spec.option.gravity = direction * (number(size) / (size or 1.0)) + 0.0  # never −0


def edit_tilt(spec, nominal, body, offsets):
    vector = np.array(nominal.opt.gravity)
    for label, axis in (("roll", [1.0, 0, 0]), ("pitch", [0, 1.0, 0])):
        quat, turned = np.empty(4), np.empty(3)
        mujoco.mju_axisAngle2Quat(quat, np.array(axis), offsets[0].get(label, 0.0))
        mujoco.mju_rotVecQuat(turned, vector, quat)
        vector = turned
    spec.option.gravity = vector


def edit_wind(spec, nominal, body, offsets):
    spec.option.density = body.get("density", spec.option.density)
    for axis, value in offsets[0].items():
        spec.option.wind["xyz".index(axis)] += value


def option(name):
    def edit(spec, nominal, chosen):
        setattr(spec.option, name, chosen[0][1](getattr(spec.option, name)))

    return edit


BY_LABEL = {
    "center_of_mass": edit_center,
    "pseudo_inertia": edit_pseudo,
    "gravity_tilt": edit_tilt,
    "wind": edit_wind,
}
EDITS = {
    "mass": edit_mass,
    "density": edit_mass,
    "payload": edit_payload,
    "gravity_compensation": attribute("bodies", "gravcomp"),
    "friction": attribute("geoms", "friction", 0),
    "torsional_friction": attribute("geoms", "friction", 1),
    "rolling_friction": attribute("geoms", "friction", 2),
    "contact_time_constant": attribute("geoms", "solref", 0),
    "contact_damping_ratio": attribute("geoms", "solref", 1),
    "contact_impedance": edit_impedance("geoms"),
    "contact_width": attribute("geoms", "solimp", 2),
    "contact_margin": attribute("geoms", "margin"),
    "pair_friction": attribute("pairs", "friction", 0, 1),
    "pair_torsional_friction": attribute("pairs", "friction", 2),
    "pair_rolling_friction": attribute("pairs", "friction", 3, 4),
    "pair_time_constant": attribute("pairs", "solref", 0),
    "pair_damping_ratio": attribute("pairs", "solref", 1),
    "pair_impedance": edit_impedance("pairs"),
    "pair_width": attribute("pairs", "solimp", 2),
    "pair_margin": attribute("pairs", "margin"),
    "geom_size": edit_size,
    "damping": attribute("joints", "damping"),
    "armature": attribute("joints", "armature"),
    "friction_loss": attribute("joints", "frictionloss"),
    "friction_impedance": edit_friction_impedance,
    "stiffness": attribute("joints", "stiffness"),
    "spring_reference": attribute("joints", "springref"),
    "joint_range": width("joints"),
    "joint_limits": edit_limits,
    "joint_offset": edit_offset,
    "limit_time_constant": attribute("joints", "solref_limit", 0),
    "joint_margin": attribute("joints", "margin"),
    "tendon_damping": attribute("tendons", "damping"),
    "tendon_stiffness": attribute("tendons", "stiffness"),
    "tendon_friction_loss": attribute("tendons", "frictionloss"),
    "tendon_armature": attribute("tendons", "armature"),
    "tendon_range": width("tendons"),
    "tendon_length": attribute("tendons", "springlength", 0, 1),
    "motor_strength": edit_motor,
    "broken_actuator": edit_broken,
    "kp": edit_kp,
    "kd": edit_kd,
    "gear": factor("actuators", "gear"),
    "control_range": factor("actuators", "ctrlrange"),
    "force_range": factor("actuators", "forcerange"),
    "actuator_time_constant": attribute("actuators", "dynprm", 0),
    "actuator_damping": attribute("actuators", "damping"),
    "gravity": edit_gravity,
    "air_density": option("density"),
    "viscosity": option("viscosity"),
}
