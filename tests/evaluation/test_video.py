"""Videos are checked for what they show, not only for being there."""

import gc

import imageio.v2 as imageio
import numpy as np
import pytest

from sim2real.evaluation import video
from sim2real.evaluation.video import record, worst_target
from sim2real.progress import Progress
from sim2real.runs import RunError
from sim2real.session import reload
from sim2real.spec import domain
from tests.small import trained

# imageio's reader leaves ffmpeg's pipes to the garbage collector, which complains of them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
SIZE = (160, 120)
BAND = 64


def read(path):
    """Every frame of a video, (n, height, width, 3)."""
    with imageio.get_reader(path) as reader:
        frames = np.stack([frame for frame in reader.iter_data()])
    gc.collect()
    return frames


@pytest.fixture(scope="module")
def run(small_run):
    return small_run


@pytest.fixture(scope="module")
def frames(run):
    path = record(run, "heavy", run.path / "videos" / "heavy.mp4", Progress.silent(), seconds=1.0, size=SIZE)
    return read(path)


def test_a_video_has_both_sides_and_a_caption(frames):
    assert frames.shape[1:] == (SIZE[1] + BAND, 2 * SIZE[0], 3)
    assert len(frames) > 3
    for side in (slice(0, SIZE[0]), slice(SIZE[0], None)):
        assert frames[0][BAND:, side].std() > 10  # a scene, not a blank
        assert frames[0][:BAND, side].max() > 200  # letters on a dark band
        assert np.median(frames[0][:BAND, side]) < 60


def test_things_move_and_the_sides_differ(frames):
    first, last = frames[0].astype(int), frames[-1].astype(int)
    assert np.abs(first[BAND:] - last[BAND:]).max() > 60
    assert np.abs(last[BAND:, : SIZE[0]] - last[BAND:, SIZE[0] :]).max() > 60


def test_the_caption_counts_steps_and_names_the_target(frames):
    # The left caption's last line changes with the steps; the title's line does not.
    first, last = frames[0].astype(int), frames[-1].astype(int)
    assert np.abs(first[44:BAND] - last[44:BAND]).max() > 60
    assert np.abs(first[:22] - last[:22]).max() < 60
    titles = [frames[0][:40, side].astype(int) for side in (slice(0, SIZE[0]), slice(SIZE[0], None))]
    assert np.abs(titles[0] - titles[1]).max() > 60


def test_both_sides_start_alike_but_for_the_physics(run, frames):
    twin = record(run, "laggy", run.path / "videos" / "laggy.mp4", Progress.silent(), seconds=0.1, size=SIZE)
    first = read(twin)[0].astype(int)
    assert np.abs(first[BAND:, : SIZE[0]] - first[BAND:, SIZE[0] :]).mean() < 2


def test_a_target_that_is_nominal_itself_is_filmed_alone(run, tmp_path, monkeypatch):
    alike = {"same": domain(reload(run).program, "same", {})}
    monkeypatch.setattr(video, "choose", lambda bundle, names: alike)
    path = record(run, "same", tmp_path / "same.gif", Progress.silent(), seconds=0.1, size=SIZE)
    assert read(path).shape[1:3] == (SIZE[1] + BAND, SIZE[0])


def test_gif_works_too(run, tmp_path):
    path = record(run, None, tmp_path / "x.gif", Progress.silent(), seconds=0.2, size=SIZE)
    assert read(path).shape[-1] == 3


def test_other_kinds_are_refused(run, tmp_path):
    with pytest.raises(RunError, match=r"a video is \.mp4 or \.gif"):
        record(run, None, tmp_path / "x.avi", Progress.silent())


def test_the_worst_target_is_the_one_with_the_lowest_return():
    shots = {name: {"shots": {"0": {"iqm": iqm}}} for name, iqm in (("a", 3.0), ("b", 1.0), ("c", 2.0))}
    assert worst_target({"targets": shots}) == "b"


def test_any_gymnasium_environment_can_be_filmed(tmp_path):
    text = (
        "env: Walker2d-v5\nrandomize:\n  m: {type: mass, select: torso, scale: [0.8, 1.2]}\n"
        "targets:\n  heavy: {m: 3}\n"
        "train: {steps: 120, num_envs: 2, baseline: false, agent: {actor_hidden: [8], critic_hidden: [8]}}\n"
    )
    run = trained(tmp_path, text)
    path = record(run, "heavy", tmp_path / "walker.mp4", Progress.silent(), seconds=0.3, size=SIZE)
    assert read(path)[0][BAND:].std() > 10
