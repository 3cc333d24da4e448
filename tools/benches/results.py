"""Writes what was measured: each row as CSV and JSON, and all of them as one Markdown table."""

import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reproductions.tables import ROOT, insert

from benches import machine
from benches.figures import Bar, Figure, Mode, Outcome, Table, markdown
from benches.table import ROWS, Row

COMMITTED = ROOT / "assets" / "results" / "bench"
DISTURBED = 0.05
"""Share of the machine that others may take before a row says so."""
QUICK = ROOT / "runs" / "bench-quick"


def folder(mode: Mode) -> Path:
    """Return where results go: committed ones come from full runs only."""
    return QUICK if mode.quick else COMMITTED


def record(row: Row, outcome: Outcome, mode: Mode, others: float) -> dict[str, Any]:
    """Return everything about one row as plain values."""
    return {
        "row": row.name,
        "number": row.number,
        "what": row.what,
        "command": row.command + (" --quick" if mode.quick else ""),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": mode.rounds,
        "others": round(others, 3),
        "figures": [figure.to_json() for figure in outcome.figures],
        "peers": outcome.peers,
        "machine": machine.describe(),
    }


def write(row: Row, outcome: Outcome, mode: Mode, others: float) -> dict[str, Any]:
    """Write the files of one row, and return its record.

    Args:
        row: Which.
        outcome: What it found.
        mode: How.
        others: Share of the machine that other processes took meanwhile.
    """
    where, made = folder(mode), record(row, outcome, mode, others)
    where.mkdir(parents=True, exist_ok=True)
    (where / f"{row.name}.json").write_text(json.dumps(made, indent=1) + "\n")
    if outcome.table:
        with (where / f"{row.name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(outcome.table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(outcome.table)
    return made


def overview(records: Iterable[dict[str, Any]]) -> Table:
    """Return one line for each figure."""
    return [
        {
            "#": str(made["number"]),
            "row": made["row"],
            "what": figure.what,
            "figure": figure.show(),
            "bar": figure.show_bar(),
            "": f"**{figure.verdict}**" if figure.verdict in ("missed", "missing") else figure.verdict,
            "command": f"`{made['command']}`",
        }
        for made in records
        for figure in map(from_json, made["figures"])
    ]


def from_json(plain: dict[str, Any]) -> Figure:
    """Return a figure from what `Figure.to_json` made."""
    fields: dict[str, Any] = {key: value for key, value in plain.items() if key not in ("verdict", "bar")}
    return Figure(**fields, bar=None if plain["bar"] is None else Bar(**plain["bar"]))


def summarize(mode: Mode) -> str:
    """Write the overview of all rows measured so far, from their files, and return its table.

    After a full run what has a bar, or is missing, also goes between README's markers `bench`, where there
    are any.
    """
    where = folder(mode)
    files = [where / f"{row.name}.json" for row in ROWS]
    records = [json.loads(file.read_text()) for file in files if file.exists()]
    table = markdown(overview(records))
    (where / "README.md").write_text(_page(records, table))
    if not mode.quick:
        shown = [line for line in overview(records) if line["bar"] or "missing" in line[""]]
        into_readme("bench", markdown(shown))
    return table


def into_readme(name: str, text: str) -> None:
    """Put a table between README's markers of a name, where there are any."""
    if f"<!-- {name} -->" in (ROOT / "README.md").read_text():
        insert(name, text)
    else:
        print(f"README has no marker '{name}'; its table was left out", file=sys.stderr)


def _page(records: list[dict[str, Any]], table: str) -> str:
    """Return the overview as a page: the table, what belongs to it, and where it was measured."""
    notes = [
        f"- `{made['row']}`, {figure['what']}: {figure['note']}"
        for made in records
        for figure in made["figures"]
        if figure["note"]
    ]
    versions = sorted(
        {
            f"{name} {number}"
            for made in records
            for about in made["peers"].values()
            for name, number in about.get("versions", {}).items()
        }
    )
    disturbed = [
        f"- `{made['row']}` was disturbed: other processes took {made['others']:.0%} of the processors."
        for made in records
        if made["others"] > DISTURBED
    ]
    machines = sorted({machine.in_words(made["machine"]) for made in records})
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `tools/bench`. A ratio is the median of paired rounds, measured in turn in one run,",
            "with the least and the greatest in brackets; an absolute limit says its unit.",
            "",
            table,
            "",
            *disturbed,
            *notes,
            "",
            *(f"Machine: {words}." for words in machines),
            f"Peers: {', '.join(versions) or 'none'}.",
            "",
        ]
    )
