"""Pages of methods quote the rows of README's tables that measure them, and are listed."""

import re
from pathlib import Path

from reproductions.tables import ROOT, markdown

PAGES = ROOT / "assets" / "docs" / "methods"
INDEX = "README"
MISSING = "*No seed has been measured yet.*"

INTRODUCTION = """\
# Methods

What `sim2real list methods` lists, each with a page that says what it assumes, when it fails, its paper, its
spec, and what was measured. The list and the measured rows are written by `tools/docs`.

"""
SHARED = {
    **dict.fromkeys(("last-layer", "last-2", "last-3", "last-4", "last-5", "bias", "scratch"), "fine-tune"),
    "uniform": "zero-shot",
}
"""Methods whose page is that of another."""


def page_of(method: str) -> Path:
    """Return the page of a method, by its name in `sim2real list methods`."""
    return PAGES / f"{SHARED.get(method, method)}.md"


def refresh() -> None:
    """Write into every page the rows that it quotes, as README has them now."""
    readme = (ROOT / "README.md").read_text()
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        if (new := quoted(text, readme)) != text:
            page.write_text(new)


def quoted(page: str, readme: str) -> str:
    """Return a page with the rows it asks for between its markers `measured SECTION: ROW; ROW`.

    Args:
        page: The page.
        readme: Where the rows stand, between the markers of sections.
    """

    def rows(found: re.Match[str]) -> str:
        section, names = found[1], [name.strip() for name in found[2].split(";")]
        table = table_of(readme, section, names)
        return f"<!-- measured {section}: {found[2]} -->\n{table}\n<!-- /measured -->"

    pattern = r"<!-- measured ([\w-]+): (.+?) -->\n.*?<!-- /measured -->"
    return re.sub(pattern, rows, page, flags=re.DOTALL)


def table_of(readme: str, section: str, names: list[str]) -> str:
    """Return the head and some rows of the first table in a section that has them; or that there are none."""
    text = readme.partition(f"<!-- {section} -->")[2].partition(f"<!-- /{section} -->")[0]
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        head, line, *rows = table.strip().splitlines()
        by_name = {row.split("|")[1].strip(): row for row in rows}
        if chosen := [by_name[name] for name in names if name in by_name]:
            return "\n".join([head, line, *chosen])
    return MISSING


def index() -> str:
    """Return the page that lists all methods."""
    from sim2real.catalog import KINDS

    methods = KINDS["methods"]()
    rows = [[f"[`{name}`]({page_of(name).name})", text] for name, text in methods.items()]
    return INTRODUCTION + markdown(["method", "what it is"], rows, left=2) + "\n"
