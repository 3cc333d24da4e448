"""Side-by-side video: the policy on the nominal domain and on a target, in step."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sim2real.agents import Agent
from sim2real.agents.base import Remembers
from sim2real.envs.domains import fixed
from sim2real.envs.make import make_worlds
from sim2real.envs.vector import TaskVectorEnv
from sim2real.evaluation.external import film_of
from sim2real.evaluation.suites import choose
from sim2real.film import FASTEST, Frame, captioned, film, refuse_other_kinds
from sim2real.progress import Progress
from sim2real.runs import Run, RunError
from sim2real.session import reload, trained_agent
from sim2real.spec import Bundle, Domain, domain
from sim2real.transfer.registry import wanted


def worst_target(results: dict[str, Any]) -> str:
    """Return the target on which the policy does worst zero-shot, by IQM; a robot only if there is no other.

    Raises:
        RunError: If none was evaluated zero-shot.
    """
    found = {name: entry for name, entry in results["targets"].items() if "0" in entry["shots"]}
    if not found:
        raise RunError("no target was evaluated zero-shot")
    return min(found, key=lambda name: ("external" in found[name], found[name]["shots"]["0"]["iqm"]))


def record(
    run: Run,
    target: str | None,
    out: Path,
    progress: Progress,
    seconds: float = 10.0,
    size: tuple[int, int] = (480, 400),
) -> Path:
    """Record the policy on nominal and target side by side, from the same start, and return the file.

    A target that is nominal itself is recorded alone.
    Of an environment of its own that is the film taken while it was evaluated; see `film_of`.

    Args:
        run: A trained run.
        target: The target's name; None for the first.
        out: Where to, `.mp4` or `.gif`.
        progress: Where to show progress.
        seconds: Longest video.
        size: Width and height of each picture, even numbers [pixel].

    Raises:
        RunError: If the run, the target or the file's kind does not serve.
        RenderingUnavailableError: If there is no OpenGL.
    """
    refuse_other_kinds(out)
    bundle = reload(run)
    if target is not None and (run.path / "targets" / target).is_dir():
        return film_of(run, target)
    found = choose(bundle, None if target is None else [target])
    if target in bundle.spec.external or not found:
        return film_of(run, target or next(iter(bundle.spec.external)))
    chosen = found[target] if target else next(iter(found.values()))
    agent, _ = trained_agent(run)
    part = bundle.at(chosen.name)
    nominal = domain(part.program, "nominal", {})
    # A held-out member of a set may be a target as it is.
    places = [chosen] if np.array_equal(nominal.v, chosen.v) else [nominal, chosen]
    panels = [_Panel(part, agent, place, size) for place in places]
    try:
        _write(panels, out, seconds, progress)
    finally:
        for panel in panels:
            panel.env.close()
    return out


def _write(panels: "list[_Panel]", out: Path, seconds: float, progress: Progress) -> None:
    fps = panels[0].fps
    stride = max(1, int(np.ceil(fps / FASTEST)))
    frames = int(seconds * fps) // stride
    progress.begin("video", frames)
    with film(out, fps / stride) as writer:
        for number in range(1, frames + 1):
            writer.append_data(np.concatenate([panel.frame() for panel in panels], axis=1))
            progress.move("video", number)
            if not any(panel.running for panel in panels):
                break
            for panel in panels:
                panel.advance(stride)
    progress.end("video")


class _Panel:
    """One side of the video: one world, from the start that both sides share."""

    def __init__(self, bundle: Bundle, agent: Agent, place: Domain, size: tuple[int, int]) -> None:
        spec = bundle.spec
        self.env = make_worlds(
            spec.env, spec.env_options, bundle.program, 1, fixed(place.v), spec.evaluate.seed, 1,
            render_mode="rgb_array", same_step=False,
            wants=wanted(bundle),
        )  # fmt: skip
        # Two panels are not one memory's worlds.
        self.agent = agent.clone(keep_replay=False) if isinstance(agent, Remembers) else agent
        self.size, self.title = size, place.name
        self.values = place.describe() or "the model as it is"
        self.fps = float(self.env.metadata.get("render_fps") or 30)
        self.step, self.total, self.running, self.outcome = 0, 0.0, True, ""
        self.observation, _ = self.env.reset(seed=spec.evaluate.seed)
        self._picture = self._look()

    def advance(self, steps: int) -> None:
        """Take control steps until the episode ends; its last picture then stays."""
        for _ in range(steps):
            if not self.running:
                return
            action = self.agent.act(self.observation, deterministic=True)
            self.observation, reward, terminated, truncated, _ = self.env.step(action)
            self.step += 1
            self.total += float(reward[0])
            self.running = not (terminated[0] or truncated[0])
            self.outcome = "" if self.running else ("   terminated" if terminated[0] else "   time is up")
            if not self.running:
                self._picture = self._look()

    def frame(self) -> Frame:
        """Return the picture with its caption."""
        if self.running:
            self._picture = self._look()
        score = f"step {self.step}   return {self.total:.1f}{self.outcome}"
        return captioned(self._picture, (self.title, self.values, score))

    def _look(self) -> Frame:
        width, height = self.size
        native = self.env.unwrapped
        if isinstance(native, TaskVectorEnv):
            return native.picture(0, width, height)
        pictures = self.env.render()
        assert pictures is not None
        return np.asarray(Image.fromarray(np.asarray(pictures[0])).resize(self.size))
