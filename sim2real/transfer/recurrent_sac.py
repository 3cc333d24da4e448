"""Recurrent soft actor-critic (Ni et al. 2022, arXiv 2110.05038): memory, learned off-policy.

Actor and critics have recurrent networks of their own, over what was observed, done and rewarded. Sequences
come from a replay, and their hidden state starts at zero; a summary holds the newest input beside the hidden
state. What differs from the paper: one network in place of an embedding for each kind of input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, cast

import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, field_validator
from torch import Tensor, nn

from sim2real.agents.base import Observation, Transitions
from sim2real.agents.recurrent import RECALLED, Encoder, Remembering
from sim2real.agents.replay import Replay
from sim2real.agents.sac import SAC
from sim2real.agents.sac_config import SACConfig, Widths
from sim2real.agents.sequences import TrialReplay
from sim2real.transfer.memory import MemoryConfig


class RecurrentSACConfig(MemoryConfig, SACConfig):
    """Recurrent soft actor-critic (Ni et al. 2022): remembers what it did and what came of it, off-policy."""

    actor_hidden: Widths = Field((64, 64), description="Widths of the actor's hidden layers.")
    critic_hidden: Widths = Field((64, 64), description="Widths of each critic's hidden layers.")
    batch_size: PositiveInt = Field(64, description="Sequences drawn for one update.")
    sequence: PositiveInt = Field(16, description="Longest sequence that is drawn.")
    updates_per_step: float = Field(
        0.2, ge=0, description="Gradient updates per environment step; N worlds take N of them."
    )
    policy_updates: PositiveInt = Field(1, description="Actor updates at each visit.")
    tau: float = Field(0.01, gt=0, le=1, description="Step of the target critics per update.")
    n_step: PositiveInt = Field(1, le=1, description="Always 1: a sequence is learned from step by step.")
    her: Literal["auto"] | bool = Field(False, description="Always off: another goal is another past.")
    fast_matmul: bool = Field(False, description="Whether updates multiply matrices through oneDNN.")

    @field_validator("her")
    @classmethod
    def _refuse_hindsight(cls, her: object) -> object:
        if her is not False:
            raise ValueError("must be false: what was remembered belongs to the goals that there were")
        return her


class RecurrentSAC(Remembering, SAC):
    """Soft actor-critic with a memory; arguments and use as in `ActorCritic`.

    Bodies of networks see summaries, which an `encoder` of each one's own makes of inputs.

    Raises:
        ValueError: If its worlds do not show what they recall.
    """

    config: Any

    def _make_networks(self) -> dict[str, nn.Module]:
        self._remember(self.config.units, self.action_space.shape[0])
        return super()._make_networks()

    def _front(self, name: str) -> tuple[nn.Module | None, int]:
        del name
        return None, self.config.units + self.inputs

    def _ready(self, name: str, network: nn.Module) -> nn.Module:
        recalled, zeroed = self.action_space.shape[0] + RECALLED, self.config.memory == "zeroed"
        network.encoder = Encoder(self.inputs, recalled, self.config.units, self._generator, zeroed)
        return super()._ready(name, network)

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> NDArray[Any]:
        """Choose actions, and remember what was seen; see `OffPolicy.act`."""
        raw, hidden = self.memory.entered(self.layout.flatten(obs))
        summary = self._summary(raw, hidden)
        self.memory.keep(summary[:, : self.config.units], raw)
        return self.actor.to_bounds(self._choose(summary, deterministic)).numpy()

    def _best(self, summary: Tensor) -> Tensor:
        return self.actor.to_bounds(self._choose(summary, True))

    def observe(self, transitions: Transitions) -> None:
        """Store one vector step; on a target, only live through it."""
        if self.config.deployed:
            self._live(transitions, self.actor.from_bounds(torch.as_tensor(transitions.action)))
        else:
            super().observe(transitions)

    def _new_replay(self, worlds: int) -> Replay:
        config, actions = self.config, self.action_space.shape[0]
        sizes = self.layout, actions, worlds, config.replay_capacity
        return TrialReplay(*sizes, config.gamma, across=config.returns == "trial")

    def _batches(self, replay: Replay, count: int) -> Iterator[Any]:
        """Draw sequences, with encoders' inputs for observations."""
        config, normalizer, trials = self.config, self.actor.normalizer, cast(TrialReplay, replay)
        for _ in range(count):
            drawn = trials.windows(config.batch_size, config.sequence, self._generator)
            obs, after = (self._features(raw, normalizer(raw)) for raw in (drawn.obs, drawn.next_obs))
            yield drawn._replace(obs=obs, next_obs=after)

    def _gradient_step(self, batch: Any) -> None:
        """Update the critics, the actor if it is due, and then the targets, on `Windows`."""
        self._update_critic(batch)
        self._visit_actor(batch)
        self._target_vector.lerp_(self._optimizers["critic"].vector.detach(), self.config.tau)

    @torch.no_grad()
    def td_target(self, batch: Any) -> Tensor:
        """Return the soft Bellman targets `(k,)` of the steps inside, as `SAC.td_target` does.

        Actor and target critics see what followed each step through encoders of their own.

        Args:
            batch: `Windows` of encoders' inputs.
        """
        inside = batch.inside
        seen, judged = (
            network.encoder.following(network.encoder(batch.obs), batch.next_obs)[inside]
            for network in (self.actor, self.target)
        )
        action, log_prob = self.actor.sample(seen, self._generator)
        value = self.target(judged, action).amin(0) - self.log_alpha.exp() * log_prob
        return batch.reward[inside] + batch.discount[inside] * value

    def _update_critic(self, batch: Any) -> None:
        target = self.td_target(batch)
        values = self.critic(self.critic.encoder(batch.obs)[batch.inside], batch.action[batch.inside])
        loss = (values - target).square().mean(-1).sum()
        self._optimizers["critic"].descend(loss)
        self._note(critic_loss=loss, q_mean=values.mean())

    def _update_actor(self, features: Any, judged: Tensor | None = None) -> None:
        """Update the actor on `Windows`; the critics' encoder learns nothing from it."""
        with torch.no_grad():
            judged = self.critic.encoder(features.obs)[features.inside]
        super()._update_actor(self.actor.encoder(features.obs)[features.inside], judged)

    def _learner_state(self) -> dict[str, Any]:
        return {**super()._learner_state(), "memory": self.memory.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned from an agent of the same configuration."""
        super().load_state_dict(state)
        self.memory.load_state_dict(state["memory"])

    def clone(
        self, changes: Mapping[str, Any] | None = None, seed: int | None = None, keep_replay: bool = True
    ) -> Self:
        """Return an independent copy; without the replay it is in no world yet. See `OffPolicy.clone`."""
        twin = super().clone(changes, seed, keep_replay)
        if not keep_replay:
            twin.memory.hidden = None
        return twin
