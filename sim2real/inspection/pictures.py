"""Contact sheets of randomized worlds."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sim2real.envs.make import make_worlds
from sim2real.envs.vector import TaskVectorEnv
from sim2real.envs.wrapper import RandomizedEnv
from sim2real.runs import RunError, write_atomically
from sim2real.spec import Bundle


def preview(bundle: Bundle, path: Path, columns: int = 4, rows: int = 3) -> None:
    """Write a contact sheet of randomized worlds, as PNG; of a set, with a row for each member.

    Raises:
        RunError: If the environment has no MuJoCo model, or the file's kind is another.
        RenderingUnavailableError: If there is no OpenGL.
    """
    if path.suffix != ".png":
        raise RunError(f"{path}: a preview is a .png")
    each = columns if bundle.members else columns * rows
    pictures = [picture for part in bundle.parts.values() for picture in _pictures(part, each)]
    sheet = np.concatenate(
        [np.concatenate(pictures[i : i + columns], axis=1) for i in range(0, len(pictures), columns)]
    )
    temporary = path.with_name(f".{path.name}")
    Image.fromarray(sheet).save(temporary, format="png")
    write_atomically(path, temporary.read_bytes())
    temporary.unlink()


def _pictures(bundle: Bundle, count: int) -> list[Any]:
    spec = bundle.spec
    env = make_worlds(spec.env, spec.env_options, bundle.program, count, threads=1, same_step=False)
    try:
        env.reset(seed=spec.train.seed)
        return [_picture(env, world, spec.env) for world in range(count)]
    finally:
        env.close()


def _picture(env: Any, world: int, name: str) -> Any:
    if isinstance(env, TaskVectorEnv):
        return env.picture(world, 240, 240)
    one = env.envs[world] if hasattr(env, "envs") else None
    if not isinstance(one, RandomizedEnv):
        raise RunError(f"{name}: previews need something randomized on a MuJoCo model")
    return one.picture(240, 240)
