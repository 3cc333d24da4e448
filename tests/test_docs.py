"""The generated pages say what the code says."""

import re
from pathlib import Path

import yaml

from randomizers.registry import BUILTIN

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "assets" / "docs"


def rows(name):
    first = (DOCS / name).read_text().partition("\n## ")[0]
    table = [line for line in first.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def test_every_randomizer_has_its_row_and_proofs():
    """If it fails, run tools/docs."""
    page = {row[0].strip("`"): row for row in rows("randomizers.md")}
    assert set(page) == set(BUILTIN)
    for name, cls in BUILTIN.items():
        _, what, acts_on, _, _, proofs = page[name]
        assert what == cls.__doc__.strip().splitlines()[0]
        assert all(f"`{field}`" in acts_on for field in getattr(cls, "writes", ()))
        assert int(proofs) >= 3, name


def test_every_trap_is_on_its_page():
    planted = [trap["what"] for trap in yaml.safe_load((ROOT / "tests/traps/traps.yaml").read_text())]
    assert [row[0] for row in rows("traps.md")] == planted
    assert all(len(row) == 3 and row[2] for row in rows("traps.md"))
