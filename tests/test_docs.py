"""The generated pages say what the code says."""

import importlib
import re
import sys
from pathlib import Path

import pytest
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


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "tools"))
    yield importlib.import_module("reproductions.pages")
    sys.path.remove(str(ROOT / "tools"))


def test_every_method_has_a_page_and_is_listed(pages):
    from sim2real.catalog import KINDS

    listed = {pages.page_of(name) for name in KINDS["methods"]()}
    assert listed == set((DOCS / "methods").glob("*.md")) - {DOCS / "methods" / "README.md"}
    assert (DOCS / "methods" / "README.md").read_text() == pages.index(), "run tools/docs"
    for page in listed:
        text = page.read_text()
        assert all(word in text for word in ("**Assumes**", "**Fails when**", "**Paper", "**Spec")), page
        assert re.search("[Mm]easured", text), page
        for link in re.findall(r"\]\((?!http)(.+?)\)", text):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_pages_quote_the_readme(pages):
    readme = (ROOT / "README.md").read_text()
    for page in (DOCS / "methods").glob("*.md"):
        assert pages.quoted(page.read_text(), readme) == page.read_text(), f"{page}: run tools/docs"


def test_quoting_takes_the_rows_asked_for_from_the_first_table_that_has_one(pages):
    readme = (
        "<!-- a -->\n| x |\n| - |\n| one |\n\n| y | z |\n| - | - |\n| two | 2 |\n| three | 3 |\n<!-- /a -->"
    )
    page = "<!-- measured a: three; four -->\nold\n<!-- /measured -->\nrest"
    new = "<!-- measured a: three; four -->\n| y | z |\n| - | - |\n| three | 3 |\n<!-- /measured -->\nrest"
    assert pages.quoted(page, readme) == new and pages.quoted(new, readme) == new
    assert pages.MISSING in pages.quoted(page, "")
