"""Measures speed, as ratios within one run; run through `tools/bench`."""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benches import machine, venv
from benches.figures import Figure, Mode, Outcome
from benches.table import ROWS, Row, chosen


def main(words: list[str] | None = None) -> int:
    """Measure the rows that were asked for; what they say is never a failure, only not to say it is."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("name", nargs="*", help="rows to measure; without one, all but those by name only")
    parser.add_argument("--quick", action="store_true", help="shortened: all rows in under three minutes")
    parser.add_argument(
        "--tables", action="store_true", help="train nothing: write what committed curves say"
    )
    parser.add_argument("--list", action="store_true", help="list the rows, and measure nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to one JSON file too")
    arguments = parser.parse_args(words)
    if arguments.list:
        for row in ROWS:
            print(f"{row.name:<9} {row.number}  {row.what}{' (by name only)' if row.by_name else ''}")
        return 0
    try:
        rows = chosen(arguments.name)
    except ValueError as error:
        parser.error(str(error))
    mode = Mode.shortened() if arguments.quick else Mode(tables=arguments.tables)
    return measure(rows, mode, arguments.json)


def measure(rows: list[Row], mode: Mode, file: Path | None) -> int:
    """Measure rows one after the other, show each as soon as it is there, and write the results."""
    from benches import results

    venv.install(list(dict.fromkeys(group for row in rows for group in row.groups)), mode.quick)
    records: list[dict[str, Any]] = []
    broken = False
    for row in rows:
        print(f"\n{row.name}: {row.what}", flush=True)
        company, begin = machine.Company(), time.monotonic()
        try:
            outcome = row.run(mode)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            outcome, broken = Outcome([Figure(row.what, missing=reason)]), True
        for figure in outcome.figures:
            print(f"  {figure.what:<64} {figure.show():<28} {figure.show_bar():<10} {figure.verdict}")
        others = company.share()
        disturbed = others > results.DISTURBED
        said = f"; disturbed: other processes took {others:.0%} of the processors" if disturbed else ""
        print(f"  ({time.monotonic() - begin:.0f} s{said})", flush=True)
        records.append(results.write(row, outcome, mode, others))
    print(f"\n{results.summarize(mode)}\n\nwritten to {results.folder(mode).relative_to(results.ROOT)}")
    if file is not None:
        file.write_text(json.dumps(records, indent=1) + "\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
