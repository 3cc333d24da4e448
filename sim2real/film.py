"""Videos: frames with a caption above them, written all or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sim2real.runs import RunError

Frame = NDArray[np.uint8]
FASTEST = 50.0
"""Frames per second that players show without dropping any."""
BAND = 64
"""Height of the caption above each picture [pixel]."""
_STYLES = ((20, (255, 255, 255)), (13, (255, 206, 120)), (13, (170, 200, 255)))


def refuse_other_kinds(path: Path) -> None:
    """Refuse a file that is no video.

    Raises:
        RunError: If it is neither `.mp4` nor `.gif`.
    """
    if path.suffix not in (".mp4", ".gif"):
        raise RunError(f"{path}: a video is .mp4 or .gif")


@contextmanager
def film(path: Path, fps: float) -> Iterator[Any]:
    """Write a video: yield what has `append_data(frame)`; the file appears when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        with _writer(temporary, fps) as writer:
            yield writer
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def captioned(picture: Frame, lines: Sequence[str]) -> Frame:
    """Return a picture (h, w, 3) with a title and up to two more lines above it (h + 64, w, 3)."""
    band = Image.new("RGB", (picture.shape[1], BAND), (24, 26, 32))
    draw, top = ImageDraw.Draw(band), 3
    for text, (height, colour) in zip(lines, _STYLES, strict=False):
        draw.text((10, top), text, colour, ImageFont.load_default(height))
        top += height + 3
    return np.concatenate([np.asarray(band), picture])


def _writer(path: Path, fps: float) -> Any:
    if path.suffix == ".gif":
        return imageio.get_writer(path, duration=1000 / fps, loop=0)
    return imageio.get_writer(path, fps=fps, codec="libx264", quality=7, macro_block_size=2)
