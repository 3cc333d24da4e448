"""What the native copies of gymnasium-robotics' environments share."""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from sim2real.envs.task import Task


class RoboticsTask(Task):
    """A task on a model of gymnasium-robotics, with a sparse or a dense reward.

    Args:
        reward_type: `sparse` or `dense`.
        max_episode_steps: Control steps of an episode.

    Raises:
        ValueError: If the reward is of another type.
    """

    file: ClassVar[str]

    def __init__(self, reward_type: str, max_episode_steps: int) -> None:
        if reward_type not in ("sparse", "dense"):
            raise ValueError(f"reward_type is 'sparse' or 'dense', given {reward_type!r}")
        self.sparse = reward_type == "sparse"
        self.max_episode_steps = max_episode_steps

    @property
    def xml(self) -> Path:
        """The file of gymnasium-robotics, found without importing it."""
        package = find_spec("gymnasium_robotics")
        assert package is not None and package.origin is not None
        return Path(package.origin).parent / "envs" / "assets" / self.file
