"""Several environments in one: the worlds of a set of tasks, side by side."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim2real.envs.registry import is_native, make_task
from sim2real.envs.vector import TaskVectorEnv
from sim2real.spec import Bundle, Problem, Spec


class JoinedVectorEnv(VectorEnv[Any, Any, Any]):
    """The worlds of several environments, one environment after the other, which step together.

    Each has as many worlds as the others, draws from a seed of its own made from its name, and does not
    notice that there are others. Ended episodes reset themselves (`AutoresetMode.SAME_STEP`).

    Args:
        members: Native worlds by name, all with the same spaces, and as many of each; wrapped or not.

    Attributes:
        groups: The worlds of each member, by its name.

    Raises:
        ValueError: If their spaces or numbers differ.
    """

    def __init__(self, members: Mapping[str, VectorEnv[Any, Any, Any]]) -> None:
        self.members = dict(members)
        (first, one), *others = self.members.items()
        for name, other in others:
            for what in ("single_observation_space", "single_action_space", "num_envs"):
                mine, its = getattr(one, what), getattr(other, what)
                if mine != its:
                    raise ValueError(f"worlds of {first} and {name} differ in {what}: {mine} and {its}")
        each = one.num_envs
        self.groups = {name: range(i * each, (i + 1) * each) for i, name in enumerate(self.members)}
        self.num_envs = each * len(self.members)
        self.single_observation_space = one.single_observation_space
        self.single_action_space = one.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**one.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes in all worlds.

        Args:
            seed: A seed for all; see `seed_of`.
            options: None: worlds that have ended reset themselves.
        """
        if options:
            raise ValueError(f"joined worlds all reset together, without options; given {options}")
        super().reset(seed=seed)
        shown = [
            env.reset(seed=None if seed is None else seed_of(name, seed))[0]
            for name, env in self.members.items()
        ]
        return _joined(shown), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step in every world."""
        shares = np.split(np.asarray(actions), len(self.members))
        steps = [env.step(share) for env, share in zip(self.members.values(), shares, strict=True)]
        observation, reward, terminated, truncated, infos = zip(*steps, strict=True)
        return (
            _joined(observation),
            np.concatenate(reward),
            np.concatenate(terminated),
            np.concatenate(truncated),
            _joined_infos(infos, len(shares[0])),
        )

    @property
    def compute_reward(self) -> Callable[..., Any]:
        """Every member's reward of goals reached when others were wanted, for hindsight relabelling.

        Raises:
            AttributeError: If there are no goals, or what members pay for them differs: one who relabels does
                not know whose goal it is.
        """
        pay, *others = (env.unwrapped.compute_reward for env in self.members.values())  # type: ignore[attr-defined]
        goals = _probes(self.single_observation_space)
        paid = pay(*goals)
        if not all(np.array_equal(paid, other(*goals)) for other in others):
            raise AttributeError("members differ in what they pay for a goal")
        return pay

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What `TaskVectorEnv.failures` holds of each member, with its name."""
        return [
            {"member": name, **failure}
            for name, env in self.members.items()
            for failure in getattr(env.unwrapped, "failures", [])
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future depends on."""
        states: dict[str, Any] = {name: env for name, env in self.members.items()}
        return {name: env.state_dict() for name, env in states.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`, bit for bit."""
        for name, env in self.members.items():
            inner: Any = env
            inner.load_state_dict(saved[name])

    def close_extras(self, **kwargs: Any) -> None:
        """Close every member."""
        for env in self.members.values():
            env.close(**kwargs)


NATIVE_WORLDS = (TaskVectorEnv, JoinedVectorEnv)
"""Environments that can be saved, and stepped in a thread of their own."""


def seed_of(name: str, seed: int) -> int:
    """Return a member's own seed, which depends on no other member: worlds of two do not begin alike."""
    return (seed + zlib.crc32(name.encode())) % 2**31


def check_members(spec: Spec, members: Mapping[str, Bundle]) -> list[Problem]:
    """Return what keeps the members of a set from sharing a policy and its worlds; nothing of no members."""
    foreign = [name for name, part in members.items() if not is_native(part.spec.env)]
    if foreign:
        message = "takes native tasks only (see `sim2real list envs`), and {} is none"
        return [
            Problem(("envs", name, "env"), f"a set {message.format(members[name].spec.env)}")
            for name in foreign
        ]
    return _spaces(members) + _shares(spec, [name for name, part in members.items() if not part.held_out])


def _spaces(members: Mapping[str, Bundle]) -> list[Problem]:
    """Compare every member's spaces to the first one's."""
    found: list[Problem] = []
    first: tuple[str, tuple[gym.Space[Any], gym.Space[Any]]] | None = None
    for name, part in members.items():
        task = make_task(part.spec.env, part.spec.env_options)
        own = task.spaces(task.compile())
        first = first or (name, own)
        for what, one, other in zip(("observations", "actions"), first[1], own, strict=True):
            if one != other:
                message = f"its {what}, {other}, are not those of {first[0]}, {one}; a set shares both"
                found.append(Problem(("envs", name), message))
    return found


def _shares(spec: Spec, trained: list[str]) -> list[Problem]:
    """Refuse numbers of worlds that cannot be shared equally, and a curriculum, which moves one source."""
    found: list[Problem] = []
    for key, count in (("num_envs", spec.train.num_envs), ("validate_on", spec.train.validate_on)):
        if trained and count and count % len(trained):
            lower = count - count % len(trained)
            near = " or ".join(str(n) for n in (lower, lower + len(trained)) if n)
            message = f"{count} cannot be shared equally by {len(trained)} members; take {near}"
            found.append(Problem(("train", key), message))
    if trained and spec.train.curriculum.get("type", "uniform") != "uniform":
        message = "a curriculum moves over the source of one environment, and a set has several: leave it out"
        found.append(Problem(("train", "curriculum"), message))
    return found


def _probes(space: gym.Space[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return goals reached and wanted, 1 mm to 10 m apart: enough to tell two thresholds apart."""
    if not isinstance(space, gym.spaces.Dict) or "desired_goal" not in space.spaces:
        raise AttributeError("these worlds have no goals")
    random = np.random.default_rng(0)
    (size,) = space["desired_goal"].shape or (1,)
    wanted, way = random.normal(size=(2, 1000, size))
    apart = 10.0 ** random.uniform(-3, 1, (1000, 1))
    return wanted + apart * way / np.linalg.norm(way, axis=1, keepdims=True), wanted


def _joined(parts: Iterable[Any]) -> Any:
    parts = list(parts)
    if isinstance(parts[0], dict):
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return np.concatenate(parts)


def _joined_infos(infos: Iterable[dict[str, Any]], each: int) -> dict[str, Any]:
    """Join what members say of their worlds; of worlds whose member says nothing: false, or None."""
    infos = list(infos)
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for info in infos for key in info):
        said = [info.get(key) for info in infos]
        if any(isinstance(one, dict) for one in said):
            found[key] = _joined_infos([one or {} for one in said], each)
        else:
            found[key] = _filled(said, each)
    return found


def _filled(said: list[NDArray[Any] | None], each: int) -> NDArray[Any]:
    kind = next(one.dtype for one in said if one is not None)
    nothing = np.full(each, None if kind.hasobject else 0, kind)
    return np.concatenate([nothing if one is None else one for one in said])
