"""What quotes the tables: pages of methods their rows, the README what came of each study."""

import re
from pathlib import Path

from reproductions.tables import PAGES as MEASURED
from reproductions.tables import ROOT, insert, markdown, shown

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
    """Write into every page the rows that it quotes, as they are now, and into README what came of all."""
    insert("studies", studies((ROOT / MEASURED[1]).read_text()))
    tables = shown()
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        if (new := quoted(text, tables)) != text:
            page.write_text(new)


def studies(page: str) -> str:
    """Return a table of what came of each study: gates reached and missed, seeds, and processor time.

    Args:
        page: Sections with a question as their title, each with a report between its markers.
    """
    rows: list[list[str]] = []
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        name, report = re.search(r"<!-- ([\w-]+) -->(.*?)<!-- /\1 -->", text, re.DOTALL).groups()  # pyright: ignore
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        count = {word: len(re.findall(rf"\b{word}\b", report)) for word in ("reached", "missed", "undecided")}
        missed = f"**{count['missed']}**" if count["missed"] else "0"
        seeds = re.search(r"(\d+)(?: of \d+| seeds); (\d+) core-minutes", report)
        spent = [*seeds.groups()] if seeds else ["", ""]
        words = [f"[{title}]({MEASURED[1]}#{anchor})", f"`{name}`"]
        rows.append([*words, str(count["reached"]), missed, str(count["undecided"] or ""), *spent])
    heads = ["question", "`tools/reproduce`", "reached", "missed", "undecided", "seeds", "core-minutes"]
    return markdown(heads, rows, left=2)


def quoted(page: str, tables: str) -> str:
    """Return a page with the rows it asks for between its markers `measured SECTION: ROW; ROW`.

    Args:
        page: The page.
        tables: Where the rows stand, between the markers of sections.
    """

    def rows(found: re.Match[str]) -> str:
        section, names = found[1], [name.strip() for name in found[2].split(";")]
        table = table_of(tables, section, names)
        return f"<!-- measured {section}: {found[2]} -->\n{table}\n<!-- /measured -->"

    pattern = r"<!-- measured ([\w-]+): (.+?) -->\n.*?<!-- /measured -->"
    return re.sub(pattern, rows, page, flags=re.DOTALL)


def table_of(tables: str, section: str, names: list[str]) -> str:
    """Return the head and some rows of the first table in a section that has them; or that there are none.

    A row goes by its first cell or by its second, where both are words.
    """
    text = tables.partition(f"<!-- {section} -->")[2].partition(f"<!-- /{section} -->")[0]
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        head, line, *rows = table.strip().splitlines()
        titles = [{cell.strip() for cell in row.split("|")[1:3]} for row in rows]
        if chosen := [row for name in names for row, own in zip(rows, titles, strict=True) if name in own]:
            return "\n".join([head, line, *chosen])
    return MISSING


def index() -> str:
    """Return the page that lists all methods."""
    from sim2real.catalog import KINDS

    methods = KINDS["methods"]()
    rows = [[f"[`{name}`]({page_of(name).name})", text] for name, text in methods.items()]
    return INTRODUCTION + markdown(["method", "what it is"], rows, left=2) + "\n"
