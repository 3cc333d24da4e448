"""At least one use of every registered randomizer, on models where it does something."""

from randomizers import Randomizer
from randomizers.registry import BUILTIN

ZOO = "zoo"
LOOKS = {"colors": 0.4, "lights": 0.3, "camera": {"position": "5 cm", "angle": "5 deg"}}
LINKS = "r_elbow_flex_link|r_forearm_roll_link"

BODIES = {
    "mass": [
        ("Hopper-v5", {"select": "torso|foot", "scale": [0.5, 2.0]}),
        ("Pusher-v5", {"select": LINKS, "add": [0, "500 g"]}),
        ("FetchPush-v4", {"select": "object0", "set": {"choice": [0.5, 2, 8]}}),
    ],
    "density": [(ZOO, {"select": "upper|lower|rock", "scale": [0.5, 2]})],
    "center_of_mass": [
        (ZOO, {"select": "upper|lower|skewed|crate|plain", "x": "±3 cm", "z": [0, "2 cm"]}),
        ("Hopper-v5", {"select": "torso|thigh", "x": "±5 cm", "share": True}),
    ],
    "pseudo_inertia": [
        (ZOO, {"select": "skewed|plain", "alpha": "±0.3", "stretch": "±0.2", "shift": "±2 cm"}),
        (ZOO, {"select": "upper|crate|rock", "alpha": [0, 0.4], "share": True}),
        (ZOO, {"select": "lower|ghost", "stretch": [-0.3, 0.3], "shear": [-0.3, 0.3]}),
    ],
    "payload": [
        (ZOO, {"select": "upper|crate", "add": [0, "500 g"], "at": ["10 cm", 0, "-5 cm"]}),
        ("Hopper-v5", {"select": "torso", "set": [0, 3]}),
    ],
    "gravity_compensation": [(ZOO, {"select": "upper|ball", "set": [0, 1]})],
}
CONTACTS = {
    "friction": [
        ("HalfCheetah-v5", {"select": ".*", "scale": {"log_uniform": [0.2, 3]}, "share": True}),
        ("FetchPush-v4", {"select": "object0|table0", "set": [0.1, 2], "share": True}),
        (ZOO, {"select": "floor|crate|plain", "scale": [0.5, 1.5]}),
    ],
    "torsional_friction": [(ZOO, {"select": "floor|crate", "scale": [0.2, 20]})],
    "rolling_friction": [(ZOO, {"select": "floor|ball", "set": [0, "5 cm"]})],
    "contact_time_constant": [(ZOO, {"select": "floor|crate", "set": ["4 ms", "80 ms"]})],
    "contact_damping_ratio": [(ZOO, {"select": "floor|crate", "set": [0.3, 1.5]})],
    "contact_impedance": [(ZOO, {"select": "floor|crate", "set": [0.5, 0.99]})],
    "contact_width": [(ZOO, {"select": "floor|crate", "scale": [0.5, 20]})],
    "contact_margin": [(ZOO, {"select": "floor|crate", "add": [0, "1 cm"]})],
    "pair_friction": [(ZOO, {"select": "floor:puck", "scale": [0.3, 2]})],
    "pair_torsional_friction": [(ZOO, {"select": "gliding", "set": [0, "10 cm"]})],
    "pair_rolling_friction": [(ZOO, {"select": "gliding", "set": [0, "10 cm"]})],
    "pair_time_constant": [(ZOO, {"select": "gliding", "scale": [0.1, 2]})],
    "pair_damping_ratio": [(ZOO, {"select": "gliding", "scale": [0.2, 2]})],
    "pair_impedance": [(ZOO, {"select": "gliding", "set": [0.5, 0.99]})],
    "pair_width": [(ZOO, {"select": "gliding", "scale": [0.05, 20]})],
    "pair_margin": [(ZOO, {"select": "gliding", "set": [0, "1 cm"]})],
    "geom_size": [(ZOO, {"select": "crate|ball|plain", "scale": [0.7, 1.2]})],
}
JOINTS = {
    "damping": [
        ("InvertedDoublePendulum-v5", {"select": ".*", "add": [0, 1]}),
        ("HalfCheetah-v5", {"select": ".*thigh", "scale": "±50 %", "share": True}),
    ],
    "armature": [
        ("Hopper-v5", {"select": ".*_joint", "scale": [0.5, 2]}),
        ("InvertedDoublePendulum-v5", {"select": "slider", "add": [0, 2]}),
    ],
    "friction_loss": [(ZOO, {"select": "shoulder|elbow|ball", "set": [0, 0.3]})],
    "friction_impedance": [(ZOO, {"select": "shoulder|slide", "set": [0.5, 0.9999]})],
    "stiffness": [(ZOO, {"select": "slide|elbow|swing", "add": [0, 5]})],
    "spring_reference": [(ZOO, {"select": "slide|shoulder", "add": "±0.1"})],
    "joint_range": [(ZOO, {"select": "slide|shoulder", "scale": [0.05, 1.5]})],
    "joint_limits": [(ZOO, {"select": "slide|shoulder", "add": [-0.1, 0.2]})],
    "joint_offset": [(ZOO, {"select": "shoulder|elbow", "add": "±5 deg"})],
    "limit_time_constant": [(ZOO, {"select": "slide|shoulder", "set": ["4 ms", "50 ms"]})],
    "joint_margin": [(ZOO, {"select": "slide|shoulder", "set": [0, 0.05]})],
    "tendon_damping": [(ZOO, {"select": ".*", "scale": [0, 3]})],
    "tendon_stiffness": [(ZOO, {"select": ".*", "scale": [0, 3]})],
    "tendon_friction_loss": [(ZOO, {"select": ".*", "set": [0, 1]})],
    "tendon_armature": [(ZOO, {"select": ".*", "set": [0.01, 0.5]})],
    "tendon_range": [(ZOO, {"select": "rope", "scale": [0.1, 2]})],
    "tendon_length": [(ZOO, {"select": ".*", "add": [0, "10 cm"]})],
}
ACTUATORS = {
    "motor_strength": [
        ("HalfCheetah-v5", {"select": ".*", "scale": [0.5, 1.5]}),
        ("InvertedDoublePendulum-v5", {"select": "slide", "set": {"beta": [2, 3, 0.5, 2]}}),
    ],
    "broken_actuator": [
        ("HalfCheetah-v5", {"select": ".*", "set": {"bernoulli": "10 %"}}),
        (ZOO, {"select": "push|servo|spin|lagged", "set": [0, 1]}),
    ],
    "kp": [(ZOO, {"select": "servo|winch", "scale": [0.5, 2]})],
    "kd": [(ZOO, {"select": "servo|spin", "scale": [0, 2]})],
    "gear": [
        (ZOO, {"select": "push|servo|spin|lagged|lazy", "scale": [0.5, 2]}),
        ("Reacher-v5", {"select": ".*", "scale": {"choice": [-1, 1]}, "share": True}),
    ],
    "control_range": [(ZOO, {"select": "push", "scale": [0.2, 2]})],
    "force_range": [(ZOO, {"select": "servo", "scale": [0.1, 3]})],
    "actuator_time_constant": [(ZOO, {"select": "lagged|lazy", "scale": [0.2, 3]})],
    "actuator_damping": [(ZOO, {"select": "lagged|push", "set": [0, 1]})],
}
WORLD = {
    "gravity": [
        ("Hopper-v5", {"scale": [0.5, 1.5]}),
        ("InvertedDoublePendulum-v5", {"set": {"truncated_normal": [9.81, 2, 5, 15]}}),
        ("Pusher-v5", {"add": [0, 3]}),
    ],
    "gravity_tilt": [
        (ZOO, {"roll": "±10 deg", "pitch": [0, "5 deg"]}),
        ("InvertedDoublePendulum-v5", {"pitch": "±5 deg"}),
    ],
    "wind": [
        (ZOO, {"x": "±10", "z": [0, 3]}),
        ("InvertedDoublePendulum-v5", {"x": ["-20 m/s", "20 m/s"], "density": 1.2}),
    ],
    "air_density": [
        (ZOO, {"scale": [0, 100]}),
        ("Hopper-v5", {"set": [0, "50 kg/m^3"]}),
    ],
    "viscosity": [(ZOO, {"add": [0, 5]})],
}
LOOKING = {
    "visuals": [("Hopper-v5", LOOKS), ("FetchPush-v4", LOOKS), ("InvertedDoublePendulum-v5", LOOKS)],
}
# Terms that edit no field; what they do is proved where it is done.
OTHERS = {
    "timestep": [("Hopper-v5", {"scale": [0.5, 2]})],
    "action_latency": [("Hopper-v5", {"set": ["0 ms", "40 ms"]})],
    "action_jitter": [("Hopper-v5", {"set": ["0 ms", "40 ms"]})],
    "action_loss": [("Hopper-v5", {"set": [0, 0.3]})],
    "action_noise": [("Hopper-v5", {"set": [0, 0.3]})],
    "dead_zone": [("Hopper-v5", {"set": [0, 0.3]})],
    "backlash": [("Hopper-v5", {"set": [0, 0.3]})],
    "observation_latency": [("FetchPush-v4", {"add": {"uniform": [0, 0.1]}})],
    "observation_jitter": [("Hopper-v5", {"set": ["0 ms", "40 ms"]})],
    "observation_dropout": [("Hopper-v5", {"set": [0, 0.3]})],
    "observation_noise": [("HalfCheetah-v5", {"set": [0, 0.1]})],
    "observation_bias": [("HalfCheetah-v5", {"set": [0, 0.1]})],
    "stuck_sensor": [("HalfCheetah-v5", {"set": [0, 0.1]})],
    "quantization": [("HalfCheetah-v5", {"set": [0, 0.1]})],
    "servo": [
        ("SO101Reach-v0", {"select": ".*", "acceleration": [5, 60], "load_friction": [0, 0.5]}),
        (ZOO, {"select": "servo", "dead_band": [0, "1 deg"], "period": ["0 ms", "20 ms"]}),
    ],
    "push": [("Hopper-v5", {"select": "torso", "set": [0, 50]})],
    "external_force": [("Hopper-v5", {"select": "torso", "add": "±10"})],
}
SAMPLES = BODIES | CONTACTS | JOINTS | ACTUATORS | WORLD | LOOKING | OTHERS


def cases(kind=object, but=()):
    """Each (name, number, model, body) of a kind of term."""
    return [
        (f"{name}-{model}-{k}", model, {"type": name, **body})
        for name, uses in SAMPLES.items()
        if name in BUILTIN and issubclass(BUILTIN[name], kind) and name not in but
        for k, (model, body) in enumerate(uses)
    ]


PHYSICAL = cases(Randomizer, but=("visuals",))
EDITING = cases(Randomizer)
VISUAL = [case for case in EDITING if case[2]["type"] == "visuals"]
ALL = cases()
