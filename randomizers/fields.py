"""Numbers of model fields that may vary, as a table; a new one is a new row."""

import mujoco
import numpy as np

from randomizers.checks import (
    ACTUATION_ON,
    DAMPERS_ON,
    DRY_FRICTION_ON,
    GRAVITY_ON,
    SPRINGS_ON,
    TURNING_OR_SLIDING,
    contacts_of,
    direct_solref,
    fixed_body,
    massless,
    other_than,
    pairs_of,
    twice_timestep,
    without_limit,
    zeros,
)
from randomizers.rows import FieldRandomizer, Row, field_randomizer

_ANY, _SOME = (0.0, np.inf), (1e-15, np.inf)
_LINE = (-np.inf, np.inf)
_TOUCHING, _PAIRED = contacts_of(1, "it"), pairs_of(1, "it")
_CLAMPED = ", twice the time step, below which MuJoCo silently raises it"
_FILTERS = (mujoco.mjtDyn.mjDYN_FILTER, mujoco.mjtDyn.mjDYN_FILTEREXACT)
_DAMPED = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT, mujoco.mjtTrn.mjTRN_TENDON)
_FILTERED = other_than("actuator_dyntype", _FILTERS, "has no filter (dyntype filter or filterexact)")
_SPRINGLESS = "has no stiffness, so its reference does nothing"

# fmt: off
ROWS = (
    Row("gravity_compensation", "body_gravcomp", "body", (), "", _ANY,
        "Share of a body's weight that is carried for it.",
        (GRAVITY_ON, fixed_body("compensation"), massless("no weight to compensate"))),

    Row("friction", "geom_friction", "geom", (0,), "", _ANY,
        "Sliding friction of geoms.", contacts_of(3, "friction")),
    Row("torsional_friction", "geom_friction", "geom", (1,), "m", _ANY,
        "Friction of geoms against turning on the spot.", contacts_of(4, "torsional friction")),
    Row("rolling_friction", "geom_friction", "geom", (2,), "m", _ANY,
        "Friction of geoms against rolling.", contacts_of(6, "rolling friction")),
    Row("contact_time_constant", "geom_solref", "geom", (0,), "s", _SOME,
        "Time constant with which contacts of geoms give way: larger is softer.",
        (*_TOUCHING, direct_solref("geom_solref")), twice_timestep, _CLAMPED),
    Row("contact_damping_ratio", "geom_solref", "geom", (1,), "", _SOME,
        "Damping ratio of contacts of geoms: below 1 they bounce.",
        (*_TOUCHING, direct_solref("geom_solref"))),
    Row("contact_width", "geom_solimp", "geom", (2,), "m", _SOME,
        "Depth over which contacts of geoms reach their full impedance.", _TOUCHING),
    Row("contact_margin", "geom_margin", "geom", (), "m", _ANY,
        "Distance at which contacts of geoms begin to push.", _TOUCHING),

    Row("pair_friction", "pair_friction", "pair", (0, 1), "", _ANY,
        "Sliding friction of explicit contact pairs.", pairs_of(3, "friction")),
    Row("pair_torsional_friction", "pair_friction", "pair", (2,), "m", _ANY,
        "Friction of explicit contact pairs against turning on the spot.",
        pairs_of(4, "torsional friction")),
    Row("pair_rolling_friction", "pair_friction", "pair", (3, 4), "m", _ANY,
        "Friction of explicit contact pairs against rolling.", pairs_of(6, "rolling friction")),
    Row("pair_time_constant", "pair_solref", "pair", (0,), "s", _SOME,
        "Time constant with which explicit contact pairs give way: larger is softer.",
        (*_PAIRED, direct_solref("pair_solref")), twice_timestep, _CLAMPED),
    Row("pair_damping_ratio", "pair_solref", "pair", (1,), "", _SOME,
        "Damping ratio of explicit contact pairs: below 1 they bounce.",
        (*_PAIRED, direct_solref("pair_solref"))),
    Row("pair_width", "pair_solimp", "pair", (2,), "m", _SOME,
        "Depth over which explicit contact pairs reach their full impedance.", _PAIRED),
    Row("pair_margin", "pair_margin", "pair", (), "m", _ANY,
        "Distance at which explicit contact pairs begin to push.", _PAIRED),

    Row("damping", "dof_damping", "joint", (), "N m s/rad or N s/m", _ANY, "Viscous damping of joints.",
        (DAMPERS_ON,)),
    Row("armature", "dof_armature", "joint", (), "kg m^2 or kg", _ANY, "Rotor inertia of joints."),
    Row("friction_loss", "dof_frictionloss", "joint", (), "N m or N", _ANY, "Dry friction of joints.",
        (DRY_FRICTION_ON,)),
    Row("stiffness", "jnt_stiffness", "joint", (), "N m/rad or N/m", _ANY, "Spring stiffness of joints.",
        (SPRINGS_ON,)),
    Row("spring_reference", "qpos_spring", "joint", (), "rad or m", _LINE,
        "Position of hinges [rad] and slides [m] at which their spring rests.",
        (SPRINGS_ON, TURNING_OR_SLIDING, zeros("jnt_stiffness", "jnt_stiffnesspoly", why=_SPRINGLESS))),
    Row("limit_time_constant", "jnt_solref", "joint", (0,), "s", _SOME,
        "Time constant with which limits of joints give way: larger is softer.",
        (*without_limit("jnt_limited"), direct_solref("jnt_solref")), twice_timestep, _CLAMPED),
    Row("joint_margin", "jnt_margin", "joint", (), "rad or m", _ANY,
        "Distance [rad] or [m] from their end at which limits of joints begin to push.",
        without_limit("jnt_limited")),

    Row("tendon_damping", "tendon_damping", "tendon", (), "N s/m", _ANY, "Viscous damping of tendons.",
        (DAMPERS_ON,)),
    Row("tendon_stiffness", "tendon_stiffness", "tendon", (), "N/m", _ANY, "Spring stiffness of tendons.",
        (SPRINGS_ON,)),
    Row("tendon_friction_loss", "tendon_frictionloss", "tendon", (), "N", _ANY, "Dry friction of tendons.",
        (DRY_FRICTION_ON,)),
    Row("tendon_armature", "tendon_armature", "tendon", (), "kg", _ANY,
        "Inertia that resists a change of a tendon's length."),
    Row("tendon_length", "tendon_lengthspring", "tendon", (0, 1), "m", _ANY,
        "Length at which a tendon's spring rests; both ends of a slack range move alike.",
        (SPRINGS_ON, zeros("tendon_stiffness", "tendon_stiffnesspoly", why=_SPRINGLESS))),

    Row("actuator_time_constant", "actuator_dynprm", "actuator", (0,), "s", _SOME,
        "Time constant of the first-order filter between control and force.",
        (ACTUATION_ON, _FILTERED)),
    Row("actuator_damping", "actuator_damping", "actuator", (), "N m s/rad", _ANY,
        "Viscous damping in the drive of actuators, before their gear.",
        (other_than("actuator_trntype", _DAMPED, "moves no joint or tendon, and MuJoCo damps no other"),)),
)
# fmt: on

FIELDS: dict[str, type[FieldRandomizer]] = {row.type: field_randomizer(row, __name__) for row in ROWS}
"""The randomizer of each row, by its name in YAML."""

# Attributes of this module, so that a worker process can unpickle them.
globals().update({cls.__name__: cls for cls in FIELDS.values()})
