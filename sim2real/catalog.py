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

    return {name: _first_line(entry.config) for name, entry in AGENTS.items()} | _trained_methods()


def _trained_methods() -> dict[str, str]:
    from sim2real.transfer.registry import METHODS

    return {name: _first_line(method.config) for name, method in METHODS.items()}


def _methods() -> dict[str, str]:
    from sim2real.transfer.curricula import CURRICULA
    from sim2real.transfer.finetune import MODES

    modes = {
        "fine-tune" if name == "all" else name.replace("_", "-"): (
            f"Few-shot: {mode.summary} (evaluate.finetune: {name})."
        )
        for name, mode in MODES.items()
    }
    curricula = {
        name: f"{_first_line(entry.settings)[:-1]} (train.curriculum: {{type: {name}}})."
        for name, entry in CURRICULA.items()
    }
    learners = {name: f"{line[:-1]} (train.algorithm)." for name, line in _agents().items()}
    trained = {name: line for name, line in learners.items() if name in {"soft_q", *_trained_methods()}}
    zero_shot = "The trained policy on dynamics it never trained on, or on a robot (targets: NAME: {env: …})."
    return {"zero-shot": zero_shot} | modes | curricula | trained


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "envs": _envs,
    "randomizers": _randomizers,
    "agents": _agents,
    "methods": _methods,
}
