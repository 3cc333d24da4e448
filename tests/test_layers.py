"""The architecture, as tests: imports go down only, modules and functions stay small, names are explained."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*(ROOT / "randomizers").rglob("*.py"), *(ROOT / "sim2real").rglob("*.py")])

# What each room may import of ours. Everything not named here is refused.
MAY_IMPORT = {
    "randomizers": {"randomizers"},
    "sim2real/__init__": {"sim2real.envs.cures", "sim2real.envs.make"},
    "sim2real/spec": {"randomizers", "sim2real.spec"},
    "sim2real/worlds": {"randomizers", "sim2real.spec", "sim2real.worlds"},
    "sim2real/envs": {"randomizers", "sim2real.spec", "sim2real.worlds", "sim2real.envs"},
    "sim2real/agents": {"sim2real.agents"},
    "sim2real/transfer": {
        "randomizers", "sim2real.agents", "sim2real.envs", "sim2real.runs", "sim2real.spec",
        "sim2real.transfer",
    },
    "sim2real/logs": {"randomizers", "sim2real.logs", "sim2real.runs"},
    "sim2real/replay": {
        "randomizers", "sim2real.envs", "sim2real.film", "sim2real.logs", "sim2real.progress",
        "sim2real.replay", "sim2real.runs", "sim2real.spec", "sim2real.worlds",
    },
    "sim2real/deploy": {"sim2real.deploy"},
    "sim2real/export": {
        "sim2real.agents", "sim2real.deploy", "sim2real.envs", "sim2real.export", "sim2real.replay",
        "sim2real.runs", "sim2real.session", "sim2real.spec", "sim2real.transfer",
    },
    "sim2real/simulated_robot": {
        "sim2real.deploy", "sim2real.envs", "sim2real.replay", "sim2real.spec",
    },
    "sim2real/remote_env": {"sim2real.deploy"},
    "sim2real/identify": {
        "randomizers", "sim2real.identify", "sim2real.logs", "sim2real.progress", "sim2real.replay",
        "sim2real.runs", "sim2real.spec",
    },
    "sim2real/film": {"sim2real.runs"},
    "sim2real/runs": set(),
    "sim2real/progress": {"sim2real.runs"},
    "sim2real/rollout": {"sim2real.agents", "sim2real.envs"},
    "sim2real/validation": {"sim2real.agents", "sim2real.rollout"},
    "sim2real/session": {
        "sim2real.agents", "sim2real.envs", "sim2real.progress", "sim2real.runs", "sim2real.spec",
        "sim2real.transfer", "sim2real.validation",
    },
    "sim2real/train": {
        "sim2real.envs", "sim2real.progress", "sim2real.runs", "sim2real.session", "sim2real.spec",
        "sim2real.transfer",
    },
    "sim2real/inspection": {
        "randomizers", "sim2real.envs", "sim2real.inspection", "sim2real.runs", "sim2real.spec",
        "sim2real.worlds",
    },
    "sim2real/evaluation": {
        "randomizers", "sim2real.agents", "sim2real.envs", "sim2real.evaluation", "sim2real.film",
        "sim2real.inspection", "sim2real.progress", "sim2real.rollout", "sim2real.runs", "sim2real.session",
        "sim2real.spec", "sim2real.train", "sim2real.transfer",
    },
    "sim2real/catalog": {"randomizers", "sim2real.agents", "sim2real.envs", "sim2real.transfer"},
    "sim2real/cli": {
        "sim2real.catalog", "sim2real.deploy", "sim2real.evaluation", "sim2real.export", "sim2real.identify",
        "sim2real.inspection", "sim2real.progress", "sim2real.replay", "sim2real.runs", "sim2real.session",
        "sim2real.spec", "sim2real.train", "sim2real.worlds",
    },
}  # fmt: skip

# The pillar of physics knows no torch but for tensors handed to it; randomizers stand alone.
FOREIGN = {
    "randomizers": {"torch", "gymnasium"},
    "sim2real/spec": {"torch", "gymnasium"},
    "sim2real/worlds": {"torch", "gymnasium"},
    "sim2real/logs": {"torch", "gymnasium", "mujoco"},
    "sim2real/deploy": {"torch", "gymnasium", "mujoco", "scipy", "pydantic"},
    "sim2real/agents": {"mujoco"},
    "sim2real/transfer": {"mujoco"},
}


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] == "randomizers" else "/".join(parts[:2])


def imports(path: Path) -> set[str]:
    """Every module name that a file imports, with `from a import b` also as `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    allowed = MAY_IMPORT[room(path)]
    for name in imports(path):
        if name.split(".")[0] in ("randomizers", "sim2real"):
            assert any(name == top or name.startswith(f"{top}.") for top in allowed), f"{path}: {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pillars_do_not_touch(path):
    refused = FOREIGN.get(room(path), set())
    assert not {name.split(".")[0] for name in imports(path)} & refused


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_and_functions_stay_small():
    lines = [len(path.read_text().splitlines()) for path in MODULES]
    assert max(lines) <= 350
    assert statistics.median(lines) <= 120
    lengths = sorted(
        (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
        for path in MODULES
        for node in functions(path)
    )
    assert statistics.median(lengths) <= 8
    assert lengths[int(0.95 * len(lengths))] <= 40


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_is_explained_and_typed(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module's first line says what room it is"
    outer = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inner = {node for other in outer for node in ast.walk(other) if node is not other}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert node in inner or ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, f"{path.name}: {node.name} has no return type"


def test_randomizers_import_without_torch_and_gymnasium():
    code = "import sys, randomizers; print({'torch', 'gymnasium'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom sim2real.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print({'torch', 'mujoco', 'scipy', 'matplotlib', 'pydantic'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
