"""A small robot that stands in for an environment, so that the tests of specs need no task."""

from functools import cache

import mujoco
from pydantic import BaseModel, ConfigDict, Field

from sim2real.spec import Catalog, SpecError, load_text

XML = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1" friction="1 0.005 0.0001"/>
    <body name="upper" pos="0 0 1">
      <joint name="shoulder" axis="0 1 0" damping="0.5"/>
      <geom name="upper_geom" type="capsule" size="0.05 0.2" mass="2"/>
      <body name="lower" pos="0 0 -0.4">
        <joint name="elbow" axis="0 1 0" damping="0"/>
        <geom name="lower_geom" type="capsule" size="0.04 0.2" mass="1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="m1" joint="shoulder" gear="10"/>
    <motor name="m2" joint="elbow" gear="5"/>
  </actuator>
</mujoco>
"""


class Settings(BaseModel):
    """An agent's settings."""

    model_config = ConfigDict(extra="forbid")

    gamma: float = Field(0.99, ge=0, lt=1)
    width: int = 64


@cache
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(XML)


def make(name, options):
    if name != "Arm":
        raise ValueError(f"unknown environment '{name}'")
    if set(options) - {"reward"}:
        raise ValueError("the option is unknown")
    return model()


CATALOG = Catalog(make, {"fast_sac": Settings, "sac": Settings, "ppo": Settings})


def bundle(text, *overrides, name="arm.yaml", catalog=CATALOG):
    return load_text(text, name, catalog, overrides)


def complaints(text, *overrides, catalog=CATALOG):
    """Messages for a wrong spec, one a line."""
    try:
        bundle(text, *overrides, catalog=catalog)
    except SpecError as error:
        return str(error).splitlines()
    raise AssertionError("the spec was accepted")


def program(terms, targets="{}"):
    """Bundle of `randomize` and `targets` sections in flow style."""
    return bundle(f"env: Arm\nrandomize: {terms}\ntargets: {targets}\n")
