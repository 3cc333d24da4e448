"""Where results lie and how they are written: CSV files of ours, tables between markers of pages."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "assets" / "results"


PAGES = ("README.md", "assets/docs/results.md")
"""Pages with tables between markers, from the root."""


def insert(name: str, text: str) -> None:
    """Replace what stands between the markers of a name, in the page that has them.

    Args:
        name: Of the markers.
        text: What is to stand there; it links to files from the root.

    Raises:
        ValueError: If no page has such markers.
    """
    for page in (ROOT / name for name in PAGES if (ROOT / name).exists()):
        before, begin, rest = page.read_text().partition(f"<!-- {name} -->")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if end:
            linked = text if page.parent == ROOT else text.replace("](assets/", "](../")
            page.write_text(f"{before}{begin}\n{linked}\n{end}{after}")
            return
    raise ValueError(f"no markers <!-- {name} --> and <!-- /{name} --> in {' or '.join(PAGES)}")


def shown() -> str:
    """Return the text of all pages with tables, one after the other."""
    return "\n".join((ROOT / name).read_text() for name in PAGES)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table.

    Args:
        head: Titles of the columns.
        rows: Texts of the cells.
        left: How many columns are words, aligned to the left; the rest are numbers.
    """
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path) -> list[dict[str, str]]:
    """Read rows of CSV; none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def merge(path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of a summary file with new ones in place of old ones of the same spec and seed."""
    kept = {(row["spec"], int(row["seed"])): row for row in [*read(path), *rows]}
    return [kept[key] for key in sorted(kept)]
