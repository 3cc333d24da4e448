"""Where results lie and how they are written: CSV files of ours, tables between markers of the README."""

import csv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "assets" / "results"


def insert(name: str, text: str) -> None:
    """Replace what stands between README's markers of a name."""
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text().partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def merge(path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows of a summary file with new ones in place of old ones of the same spec and seed."""
    old = list(csv.DictReader(path.open())) if path.exists() else []
    kept = {(row["spec"], int(row["seed"])): row for row in [*old, *rows]}
    return [kept[key] for key in sorted(kept)]
