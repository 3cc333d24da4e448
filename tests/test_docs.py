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
        for link in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_pages_quote_the_tables(pages):
    for page in (DOCS / "methods").glob("*.md"):
        assert pages.quoted(page.read_text(), pages.shown()) == page.read_text(), f"{page}: run tools/docs"


def test_the_readme_says_what_came_of_each_study(pages):
    readme, results = (ROOT / "README.md").read_text(), (DOCS / "results.md").read_text()
    assert f"<!-- studies -->\n{pages.studies(results)}\n<!-- /studies -->" in readme, "run tools/docs"
    for link in re.findall(r"\]\((?!http)([^)#]+)", results):
        assert (DOCS / link).exists(), link


def test_a_study_is_counted_by_its_verdicts(pages):
    page = (
        "# Title\n\n## Is it so?\n\nreached\n\n<!-- a -->\n- x (wanted: 1) — reached.\n- y — **missed**.\n"
        "- z — undecided: one.\n\n3 seeds; 12 core-minutes, from `a`.\n<!-- /a -->\n\n## And *that*\n"
        "<!-- b -->\n**Unfinished**: seeds so far 0 of 5; 2 core-minutes, from `b`.\n<!-- /b -->\n"
    )
    assert pages.studies(page).splitlines()[2:] == [
        "| [Is it so?](assets/docs/results.md#is-it-so) | `a` | 1 | **1** | 1 | 3 | 12 |",
        "| [And *that*](assets/docs/results.md#and-that) | `b` | 0 | 0 |  | 0 | 2 |",
    ]


def test_quoting_takes_the_rows_asked_for_from_the_first_table_that_has_one(pages):
    tables = (
        "<!-- a -->\n| x |\n| - |\n| one |\n\n| y | z |\n| - | - |\n| two | 2 |\n| three | 3 |\n<!-- /a -->"
    )
    page = "<!-- measured a: three; four -->\nold\n<!-- /measured -->\nrest"
    new = "<!-- measured a: three; four -->\n| y | z |\n| - | - |\n| three | 3 |\n<!-- /measured -->\nrest"
    assert pages.quoted(page, tables) == new and pages.quoted(new, tables) == new
    assert pages.MISSING in pages.quoted(page, "")
