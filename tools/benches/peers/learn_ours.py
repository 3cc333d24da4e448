"""Our own learner with its default settings under the same clock as the peers; writes its curve."""

import sys
from pathlib import Path
from typing import Any

from course import Course
from serve import options

from sim2real.agents import Loop
from sim2real.session import CATALOG, fresh_agent, training_env


def main() -> None:
    """Train until the course says that it is over."""
    import torch

    from sim2real.spec import load

    given = options()
    torch.set_num_threads(1)
    course = Course(**given["course"])
    bundle = load(Path(course.spec), CATALOG, (f"train.seed={course.seed}", *given.get("overrides", ())))
    env = training_env(bundle, "policy")
    agent: Any = fresh_agent(bundle, env)
    loop = Loop(agent, env, bundle.spec.train.seed)
    while course.goes_on(lambda obs: agent.act(obs, deterministic=True), loop.steps, agent.updates):
        loop.step()


if __name__ == "__main__":
    sys.exit(main())
