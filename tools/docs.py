"""Writes the generated pages in assets/docs; run through `tools/docs`."""

import ast
import re
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "assets" / "docs"
TRAPS = ROOT / "tests" / "traps" / "traps.yaml"
# Where a randomizer is proven: parametrized over the registry, or by tests that name it.
CONTRACT = "tests/randomizers"
NAMING = ("tests/randomizers", "tests/envs", "tests/worlds")

RANDOMIZERS = """\
# Randomizers

{count} kinds of terms, as `type:` of an entry under `randomize:`. Written by `tools/docs` from the code.

*Proofs* counts the tests that run with this randomizer: those parametrized over the registry (a runtime
edit equals a freshly compiled model; an extreme value changes a rollout or a picture; nominal values give
the nominal model bit for bit; N worlds equal N loops of `mj_step`; only the rows it touches change; it
survives a worker process; both ends are reached; draws are keyed), and those that name it.

{table}

## When values are drawn

`when:` of any term. Drifts move the quantile, so that no value leaves its distribution; a target stays where
it is.

{schedules}

## Distributions

Behind `scale`, `add`, `set` and the components, beside a number, `[low, high]` and `±10 %`.

{distributions}
"""
TRAPS_PAGE = """\
# Traps, planted and found

What MuJoCo, YAML or habit would let pass in silence. Each is planted in a spec on `tests/traps/scene.xml`;
the right column is what `sim2real inspect` says. Written by `tools/docs`, tested by
`tests/inspection/test_traps.py`.

{table}
"""


def randomizers() -> str:
    """Return the page of every randomizer."""
    from randomizers.registry import BUILTIN

    contract, naming = contract_tests(), naming_tests()
    rows = [["type", "what varies", "acts on", "unit", "bounds", "proofs"]]
    for name, cls in sorted(BUILTIN.items()):
        first = (cls.__doc__ or "").strip().splitlines()[0]
        proofs = sum(f"[{name}-" in test for test in contract) + naming.get(name, 0)
        rows.append([f"`{name}`", first, acts_on(cls), unit(cls), bounds(cls), str(proofs)])
    tables = {"table": rows, "schedules": schedules(), "distributions": distributions()}
    pages = {name: markdown(table) for name, table in tables.items()}
    return RANDOMIZERS.format(count=len(BUILTIN), **pages)


def schedules() -> list[list[str]]:
    """Return the rows of every schedule."""
    from randomizers.schedule import MEANING, Schedule

    shown = {kind: f"{{{kind}: 2 s}}" if Schedule(kind).drifts else kind for kind in MEANING}
    return [["when", "meaning"], *[[f"`{shown[kind]}`", what] for kind, what in MEANING.items()]]


def distributions() -> list[list[str]]:
    """Return the rows of every distribution."""
    from randomizers.distributions import BY_NAME

    rows = [["name", "numbers", "what it is"]]
    for name, cls in BY_NAME.items():
        numbers = ", ".join(field.name for field in fields(cls))
        rows.append([f"`{{{name}: …}}`", numbers, (cls.__doc__ or "").splitlines()[0]])
    return rows


def acts_on(cls: type) -> str:
    """Say which fields or which path a term acts on."""
    from randomizers import Clock, Disturbance, Drive, Lens, Paint, Randomizer, SignalTerm

    if issubclass(cls, Randomizer):
        return ", ".join(f"`{field}`" for field in cls.writes)
    if issubclass(cls, SignalTerm):
        return f"{cls.path} path"
    kinds = {Disturbance: "`xfrc_applied`", Drive: "inside servos", Clock: "`opt.timestep`"}
    kinds |= {Lens: "picture", Paint: "`tex_data`"}
    return next((what for kind, what in kinds.items() if issubclass(cls, kind)), "")


def unit(cls: type) -> str:
    """Return the unit of a term's number, or of each of its components."""
    if hasattr(cls, "components"):
        return ", ".join(dict.fromkeys(part.unit or "1" for part in cls.components.values()))
    return str(getattr(cls, "unit", "")) or ("1" if hasattr(cls, "bounds") else "")


def bounds(cls: type) -> str:
    """Return the physical limits of a term's number, or of each of its components."""
    if hasattr(cls, "components"):
        return "; ".join(dict.fromkeys(interval(*part.bounds) for part in cls.components.values()))
    return interval(*cls.bounds) if hasattr(cls, "bounds") else ""


def interval(low: float, high: float) -> str:
    """Write an interval; the smallest numbers that MuJoCo takes stand for "not zero"."""
    least = "(−∞" if low == float("-inf") else "(0" if 0 < low < 1e-12 else f"[{low:g}"
    return f"{least}, {'∞)' if high == float('inf') else f'{high:g}]'}"


def contract_tests() -> list[str]:
    """Return the ids of the tests that are parametrized over the registry."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", CONTRACT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def naming_tests() -> dict[str, int]:
    """Return how many test functions name each randomizer by a `type` of theirs."""
    counts: dict[str, int] = {}
    for folder in NAMING:
        for path in (ROOT / folder).glob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    source = ast.unparse(node)
                    for name in set(re.findall(r"'type': '(\w+)'", source)):
                        counts[name] = counts.get(name, 0) + 1
    return counts


def traps() -> str:
    """Return the page of planted traps, each inspected anew."""
    rows = [["trap", "planted as", "found as"]]
    for trap in yaml.safe_load(TRAPS.read_text()):
        said = inspected(trap["spec"])
        line = next((line for line in said.splitlines() if re.search(trap["found"], line)), None)
        if line is None:
            raise SystemExit(f"not found: {trap['what']}\n{said}")
        shown = re.sub(r"^.*trap\.yaml:\d+: ", "", line.strip()).replace("|", "\\|")
        spec = trap["spec"].replace("\n", "; ").replace("|", "\\|")
        rows.append([trap["what"].replace("|", "\\|"), f"`{spec}`", shown])
    return TRAPS_PAGE.format(table=markdown(rows))


def inspected(spec: str) -> str:
    """Return what `sim2real inspect` says about a spec on the scene of traps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trap.yaml"
        path.write_text(f"env: tests.traps.worlds:Scene\n{spec}\n")
        command = [sys.executable, "-m", "sim2real.cli", "inspect", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return done.stdout + done.stderr


def markdown(rows: list[list[str]]) -> str:
    """Return rows, the first of them the head, as a markdown table."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def methods() -> str:
    """Bring what quotes tables up to date with them, and return the page that lists them."""
    from reproductions.pages import index, refresh

    refresh()
    return index()


def main() -> None:
    """Write the pages."""
    DOCS.mkdir(parents=True, exist_ok=True)
    for name, page in (("randomizers", randomizers), ("traps", traps), ("methods/README", methods)):
        (DOCS / f"{name}.md").write_text(page(), encoding="utf-8")
        print(f"assets/docs/{name}.md")


if __name__ == "__main__":
    main()
