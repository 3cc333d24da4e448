"""Fine-tuning by name: what of a trained agent goes on learning on a target, and in what shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

from sim2real.agents import Agent
from sim2real.agents.actor_critic import ActorCritic
from sim2real.agents.base import Remembers
from sim2real.agents.off_policy import OffPolicy
from sim2real.spec import Evaluate
from sim2real.transfer.contextual import Contextual
from sim2real.transfer.gradient_meta import GradientMeta
from sim2real.transfer.progressive import Progressive
from sim2real.transfer.residual import Residual
from sim2real.transfer.source import OnSource, begin_on

Begin = Callable[[Agent, Mapping[str, Any], int], Agent]
"""Makes the learner that adapts from the trained agent, the settings that differ, and a seed."""


class Mode(NamedTuple):
    """A way to fine-tune.

    Attributes:
        begin: Makes the learner.
        summary: One line about it.
    """

    begin: Begin
    summary: str


def _learner(agent: Agent, changes: Mapping[str, Any], seed: int) -> OffPolicy:
    """Return an agent if it learns from reward, or what it becomes to do so, such as a distilled student."""
    return cast(
        OffPolicy,
        agent if isinstance(agent, OffPolicy) else agent.clone(changes, seed=seed, keep_replay=False),
    )


def _copy(agent: Agent, changes: Mapping[str, Any], seed: int, trainable: str) -> Agent:
    return agent.clone({**changes, "trainable": trainable}, seed=seed, keep_replay=False)


def _grown(agent: Agent, changes: Mapping[str, Any], seed: int, method: type[OnSource]) -> Agent:
    return begin_on(cast(ActorCritic, _learner(agent, changes, seed)), method, changes, seed)


def _fresh(agent: Agent, changes: Mapping[str, Any], seed: int) -> Agent:
    kind = _learner(agent, changes, seed)
    config = type(kind.config).model_validate({**kind.config.model_dump(), **changes, "trainable": "all"})
    return type(kind)(kind.observation_space, kind.action_space, config, seed, kind.compute_reward)


def _part(trainable: str, summary: str) -> Mode:
    return Mode(partial(_copy, trainable=trainable), summary)


MODES: dict[str, Mode] = {
    "all": _part("all", "the whole network on k target episodes"),
    "last_layer": _part("last_layer", "only the output layers"),
    **{f"last_{n}": _part(f"last_{n}", f"only the last {n} layers of each network") for n in range(2, 6)},
    "bias": _part("bias", "only biases and the gains of normalizations"),
    "progressive": Mode(
        partial(_grown, method=Progressive), "a new column beside the frozen networks (Rusu et al. 2016)"
    ),
    "residual": Mode(
        partial(_grown, method=Residual), "a correction added to the frozen policy (Silver et al. 2018)"
    ),
    "scratch": Mode(_fresh, "a fresh agent of the same settings, as a control"),
}
"""The modes of `evaluate.finetune`."""


def _refuse(settings: Evaluate) -> None:
    """Refuse what a meta-policy cannot do: all that it learns on a target are its inner steps.

    Raises:
        ValueError: Naming the setting.
    """
    if settings.finetune in ("progressive", "residual", "scratch"):
        raise ValueError(f"finetune: {settings.finetune} is not for a policy that adapts by inner steps")
    if settings.warm_episodes:
        raise ValueError("warm_episodes is not for a policy that adapts by inner steps; leave it at 0")


def begin(agent: Agent, settings: Evaluate, seed: int) -> Agent:
    """Make the learner that adapts an agent to a target; the agent itself stays as it is.

    An agent with a memory adapts by that alone: it learns nothing else.

    It remembers no transitions and learns from its first step. But for `scratch` it acts, until it has
    learned, exactly like the agent.

    Args:
        agent: The trained agent.
        settings: `finetune`, `updates_per_step` and `reset_temperature`.
        seed: Seed of the learner's draws, and of new weights if it has any.

    Raises:
        ValueError: If the mode does not fit the agent.
    """
    if isinstance(agent, Remembers):
        if settings.finetune != "all" or settings.warm_episodes:
            raise ValueError(
                "an agent with a memory adapts by what it remembers: "
                "finetune must be all and warm_episodes 0, "
                f"given {settings.finetune} and {settings.warm_episodes}"
            )
        return agent.deployed(seed)
    changes: dict[str, Any] = {"updates_per_step": settings.updates_per_step, "learning_starts": 0}
    if isinstance(agent, Contextual | GradientMeta):
        changes["deployed"] = True
    if isinstance(agent, GradientMeta):
        _refuse(settings)
    learner = MODES[settings.finetune].begin(agent, changes, seed)
    if settings.reset_temperature and isinstance(learner, ActorCritic):
        learner.reset_temperature()
    return learner
