"""Where results lie and how they are written: CSV files of ours, tables between markers of the README."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "assets" / "results"


def insert(name: str, text: str) -> None:
    """Replace what stands between README's markers of a name.

    Raises:
        ValueError: If it has no such markers.
    """
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text().partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        raise ValueError(f"{readme} has no markers <!-- {name} --> and <!-- /{name} -->")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")


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
