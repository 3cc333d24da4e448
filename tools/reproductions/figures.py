"""Drawing results: curves with intervals over seeds, saved small."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reproductions.results import Floats
from sim2real.evaluation.statistics import iqm, iqm_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curve(axes: "Axes", x: Sequence[float], scores: Floats, label: str) -> None:
    """Draw the interquartile mean of scores `(seeds, len(x))` with its 95 % interval over seeds."""
    (line,) = axes.plot(x, iqm(scores, axis=0), "o-", ms=3, label=label)
    low, high = np.array([iqm_interval(each) for each in scores.T]).T
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, lw=0)


def figure_bytes(figure: "Figure") -> bytes:
    """Return a figure as a small PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
