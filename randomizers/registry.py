"""Randomizers by name: those of this package, and those other packages register.

Another package adds one through the entry-point group `sim2real.randomizers`; names are listed without
importing anything, and `type: package.module:Class` works with no packaging at all.
"""

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from randomizers.actuators import BrokenActuator, ControlRange, ForceRange, Gear, Kd, Kp, MotorStrength
from randomizers.base import Term
from randomizers.bodies import Density, Mass
from randomizers.contacts import ContactImpedance, GeomSize, PairImpedance
from randomizers.distortions import (
    ActionNoise,
    Backlash,
    DeadZone,
    ObservationBias,
    ObservationNoise,
    Quantization,
    StuckSensor,
)
from randomizers.disturbances import ExternalForce, Push
from randomizers.fields import FIELDS
from randomizers.images import ImageBlur, ImageExposure, ImageNoise
from randomizers.inertia import CenterOfMass, Payload, PseudoInertia
from randomizers.joints import FrictionImpedance, JointLimits, JointOffset, JointRange, TendonRange
from randomizers.looks import LOOKS
from randomizers.operations import ElementTerm
from randomizers.optics import OPTICS
from randomizers.servos import Servo
from randomizers.signals import (
    ActionJitter,
    ActionLatency,
    ActionLoss,
    ObservationDropout,
    ObservationJitter,
    ObservationLatency,
)
from randomizers.textures import Texture
from randomizers.timestep import Timestep
from randomizers.visuals import Visuals
from randomizers.words import did_you_mean
from randomizers.world import AirDensity, Gravity, GravityTilt, Viscosity, Wind

GROUP = "sim2real.randomizers"

BUILTIN: dict[str, type[Term]] = {
    "mass": Mass,
    "density": Density,
    "center_of_mass": CenterOfMass,
    "pseudo_inertia": PseudoInertia,
    "payload": Payload,
    **FIELDS,
    "contact_impedance": ContactImpedance,
    "pair_impedance": PairImpedance,
    "geom_size": GeomSize,
    "friction_impedance": FrictionImpedance,
    "joint_range": JointRange,
    "joint_limits": JointLimits,
    "joint_offset": JointOffset,
    "tendon_range": TendonRange,
    "motor_strength": MotorStrength,
    "broken_actuator": BrokenActuator,
    "kp": Kp,
    "kd": Kd,
    "gear": Gear,
    "control_range": ControlRange,
    "force_range": ForceRange,
    "servo": Servo,
    "gravity": Gravity,
    "gravity_tilt": GravityTilt,
    "wind": Wind,
    "air_density": AirDensity,
    "viscosity": Viscosity,
    "timestep": Timestep,
    "action_latency": ActionLatency,
    "action_jitter": ActionJitter,
    "action_loss": ActionLoss,
    "action_noise": ActionNoise,
    "dead_zone": DeadZone,
    "backlash": Backlash,
    "observation_latency": ObservationLatency,
    "observation_jitter": ObservationJitter,
    "observation_dropout": ObservationDropout,
    "observation_noise": ObservationNoise,
    "observation_bias": ObservationBias,
    "stuck_sensor": StuckSensor,
    "quantization": Quantization,
    "push": Push,
    "external_force": ExternalForce,
    "visuals": Visuals,
    **LOOKS,
    **OPTICS,
    "texture": Texture,
    "image_exposure": ImageExposure,
    "image_blur": ImageBlur,
    "image_noise": ImageNoise,
}


def plugins() -> dict[str, EntryPoint]:
    """Return the entry points of other packages by name, without importing them.

    Raises:
        ValueError: If one claims a name that is taken.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILTIN or point.name in found:
            raise ValueError(f"randomizer '{point.name}' is registered twice (by {point.value})")
        found[point.name] = point
    return found


def names() -> list[str]:
    """Return every randomizer's name, sorted."""
    return sorted([*BUILTIN, *plugins()])


@cache
def lookup(name: str) -> type[Term]:
    """Find a randomizer class by its name or as `package.module:Class`.

    Raises:
        ValueError: If there is none, or its package cannot be imported; names the nearest one.
    """
    if name in BUILTIN:
        return BUILTIN[name]
    external = plugins()
    if name not in external and ":" not in name:
        raise ValueError(f"unknown randomizer '{name}'{did_you_mean(name, names())}")
    try:
        if name in external:
            cls = external[name].load()
        else:
            module, _, attribute = name.partition(":")
            cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"randomizer '{name}' cannot be loaded: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Term)):
        raise ValueError(f"randomizer '{name}' is not a Term")
    unfinished = issubclass(cls, ElementTerm) and cls.nominal_values is ElementTerm.nominal_values
    if cls.parameters is Term.parameters or (unfinished and cls.parameters is ElementTerm.parameters):
        raise ValueError(f"randomizer '{name}' defines no parameters")
    return cls
