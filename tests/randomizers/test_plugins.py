"""Randomizers of other packages: really installed, listed without being imported, used from YAML."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from randomizers import lookup

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "wind-tunnel"
version = "1.0"
[project.entry-points."sim2real.randomizers"]
tunnel_air = "wind_tunnel:TunnelAir"
broken = "wind_tunnel:Nowhere"
[tool.setuptools]
py-modules = ["wind_tunnel"]
"""
MODULE = '''
from typing import ClassVar
import numpy as np
from randomizers import Fields, OperationTerm, Parameter, Randomizer

class TunnelAir(OperationTerm, Randomizer):
    """Density of the air."""
    unit: ClassVar[str] = "kg/m^3"
    writes: ClassVar[tuple[str, ...]] = ("opt.density",)
    def parameters(self, model) -> dict[str, Parameter]:
        return {"": self.parameter(np.array([model.opt.density]), ("",))}
    def apply(self, values, nominal, fields: Fields) -> None:
        fields["opt.density"][:] = self.combine(values, np.array([nominal.opt.density]))[:, 0]
'''
SPEC = """
env: Hopper-v5
randomize:
  by_name: {type: tunnel_air, set: [0, 2 kg/m^3]}
"""
USE = """
import json, sys
import randomizers
listed = randomizers.names()
imported = "wind_tunnel" in sys.modules
from sim2real.envs import nominal_model
from sim2real.envs.make import make_worlds
from sim2real.spec import Catalog, SpecError, load, load_text
bundle = load(sys.argv[1], Catalog(nominal_model))
env = make_worlds("Hopper-v5", {}, bundle.program, 3)
env.reset(seed=0)
path = open(sys.argv[1]).read().replace("tunnel_air", "wind_tunnel:TunnelAir")
by_path = load_text(path, "x", Catalog(nominal_model)).program
try:
    load_text(path.replace("TunnelAir", "TunelAir"), "x", Catalog(nominal_model))
    says = ""
except SpecError as error:
    says = str(error)
json.dump({
    "listed": "tunnel_air" in listed, "imported": imported, "says": says,
    "density": [env.worlds.model(i).opt.density for i in range(3)],
    "values": env.worlds.values[:, 0].tolist(), "by_path": by_path.names,
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which pip installed the package."""
    root = tmp_path_factory.mktemp("plugin")
    source, target = root / "source", root / "site"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "wind_tunnel.py").write_text(MODULE)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(target), str(source)],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )
    return target


def test_an_installed_package_adds_a_randomizer(installed, tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC)
    roots = [str(installed), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "spec.yaml")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["listed"] and not told["imported"]
    assert told["density"] == told["values"] and len(set(told["values"])) == 3
    assert told["by_path"] == ["by_name"]
    assert "'wind_tunnel:TunelAir' cannot be loaded" in told["says"]


@pytest.mark.parametrize(
    "name, says",
    [
        ("masss", "unknown randomizer 'masss'; did you mean 'mass'?"),
        ("no_such_module:X", "cannot be loaded: No module named 'no_such_module'"),
        ("json:Nothing", "cannot be loaded"),
        ("json:dumps", "is not a Term"),
    ],
)
def test_a_randomizer_that_does_not_exist_is_an_error(name, says):
    with pytest.raises(ValueError) as error:
        lookup(name)
    assert says in str(error.value)
