"""The SO-101 at ten commands a second: tests in wall-clock time must not depend on a machine's load."""

from sim2real.envs.tasks.so101 import SO101Reach


class SlowReach(SO101Reach):
    """`SO101Reach-v0` with another control period."""

    frame_skip = 50
    slew = 0.15
