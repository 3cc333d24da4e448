"""SAC of Stable-Baselines3 or SBX, with its defaults, in one world of a spec's source; writes its curve."""

import importlib
from typing import Any

import gymnasium as gym  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]
from course import Course
from serve import options
from stable_baselines3.common.callbacks import BaseCallback  # pyright: ignore[reportMissingImports]

import sim2real  # noqa: F401  (registers the environments)


class Examined(BaseCallback):
    """Lets the course evaluate the policy when it is time, and ends training with it."""

    def __init__(self, course: Course) -> None:
        super().__init__()
        self._course = course

    def _on_step(self) -> bool:
        def policy(obs: Any) -> Any:
            return self.model.predict(obs, deterministic=True)[0]

        # SBX counts updates in a field of its own.
        return self._course.goes_on(policy, self.num_timesteps, int(getattr(self.model, "_n_updates", 0)))


def main() -> None:
    """Train until the course says that it is over."""
    given = options()
    torch.set_num_threads(1)
    course = Course(**given["course"])
    library: Any = importlib.import_module(given["library"])
    env = gym.make(given["env"], spec=course.spec)
    model = library.SAC("MlpPolicy", env, device="cpu", seed=course.seed)
    model.learn(10**9, callback=Examined(course))


if __name__ == "__main__":
    main()
