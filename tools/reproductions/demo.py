"""The README's demo: its table, its plot, a frame of its video."""

import argparse

from reproductions.tables import RESULTS, ROOT, insert
from reproductions.trainings import sim2real

FRAME = 100
"""The picture of the README is this frame of the demo's video."""


def demo(arguments: argparse.Namespace) -> None:
    """Run the demo's spec, and copy its table, plot and a frame of its video to where README shows them."""
    run, folder = arguments.run or ROOT / "runs" / "readme", RESULTS / "demo"
    if arguments.run is None:
        if not (run / "meta.json").exists():
            sim2real("train", str(ROOT / "assets" / "specs" / "demo.yaml"), "--out", str(run))
        sim2real("train", "--resume", str(run))
        sim2real("evaluate", str(run))
        sim2real("record", str(run), "--worst")
    import imageio.v2 as imageio

    from sim2real.evaluation.plots import transfer_plot
    from sim2real.evaluation.report import headline, table
    from sim2real.runs import open_run

    opened = open_run(run)
    result = opened.results()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "transfer.png").write_bytes(transfer_plot(result))
    with imageio.get_reader(next((run / "videos").glob("*.mp4"))) as video:
        imageio.imwrite(folder / "frame.png", video.get_data(FRAME))
    insert("demo", f"{table(result)}\n\n{headline(result)}")
