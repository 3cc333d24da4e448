"""Few-shot adaptation: fine-tune on exactly k episodes of the target."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from sim2real.agents import Agent, Collector
from sim2real.spec import Evaluate
from sim2real.transfer.finetune import begin

OnEpisode = Callable[[int], None]
Taken = Callable[[NDArray[Any]], NDArray[Any]]


def adapt(
    agent: Agent,
    env: VectorEnv[Any, Any, Any],
    shots: Sequence[int],
    settings: Evaluate,
    seed: int,
    on_episode: OnEpisode | None = None,
    taken: Taken | None = None,
) -> Iterator[tuple[int, Agent, int]]:
    """Fine-tune a copy, and stop at each number of shots on the way.

    Shot 0 comes before any gradient step or change of statistics. The copy starts with an empty replay:
    it learns from the target alone, and acts as it explores (stochastically), as it would have to there.
    The first `warm_episodes` are collected by the policy as it was, and earn no updates (WSRL, Zhou et al.
    2024, arXiv 2412.07762); they are target episodes like all others.

    Args:
        agent: The trained agent; it stays as it is.
        env: One world of the target.
        shots: Numbers of target episodes, in any order.
        settings: How to adapt: `finetune` and what follows it.
        seed: Seed of the target episodes and of the copy's exploration.
        on_episode: Called after each target episode with their number so far.
        taken: Of a robot, says what is done of an action (1, a). A robot must not wait for a learner in the
            midst of a motion, so all updates of an episode are done after it.

    Yields:
        (k, the copy after k episodes, target steps taken until then).
    """
    learner = behaviour = begin(agent, settings, seed)
    if settings.warm_episodes:
        learner = behaviour.clone({"updates_per_step": 0.0})
    collector: Collector | None = None
    episodes = 0
    for k in sorted(set(shots)):
        while episodes < k:
            collector = collector or Collector(env, seed)  # only now: it begins an episode
            action = behaviour.act(collector.obs)
            learner.observe(collector.step(action if taken is None else taken(action)))
            ended = len(collector.pop_episodes())
            if ended or taken is None:
                learner.update()
            episodes += ended
            if ended and on_episode is not None:
                on_episode(episodes)
            if ended and episodes == settings.warm_episodes:
                learner = behaviour = learner.clone({"updates_per_step": settings.updates_per_step})
        yield k, learner, 0 if collector is None else collector.steps
