"""What there is to name in a spec, with a line on each."""

from collections.abc import Callable
from typing import Any


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def _envs() -> dict[str, str]:
    from sim2real.envs import NATIVE, make_task

    native = {name: _first_line(type(make_task(name))) for name in NATIVE}
    return native | {
        "<Gymnasium id>": "Any registered environment; those on MuJoCo can be randomized, but for latency.",
        "package.module:Class": "Any gymnasium.Env or VectorEnv class.",
    }


def _randomizers() -> dict[str, str]:
    from randomizers.registry import BUILTIN, plugins

    others = {name: f"from {point.value}" for name, point in plugins().items()}
    return {name: _first_line(cls) for name, cls in sorted(BUILTIN.items())} | others


def _agents() -> dict[str, str]:
    from sim2real.agents import AGENTS

    return {name: _first_line(entry.config) for name, entry in AGENTS.items()}


def _methods() -> dict[str, str]:
    from sim2real.transfer.finetune import MODES

    return {
        "zero-shot": "The trained policy on dynamics it never trained on.",
        **{
            "fine-tune" if name == "all" else name.replace("_", "-"): (
                f"Few-shot: {mode.summary} (evaluate.finetune: {name})."
            )
            for name, mode in MODES.items()
        },
    }


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "envs": _envs,
    "randomizers": _randomizers,
    "agents": _agents,
    "methods": _methods,
}
