"""How much of the domain a policy's estimator finds out, on episodes that it did not learn from."""

from collections.abc import Sequence

import numpy as np
import torch

from sim2real.evaluation.zeroshot import worlds
from sim2real.rollout import Rollout
from sim2real.spec import Bundle, Evaluate
from sim2real.transfer.estimating import Estimating


def estimator_r2(bundle: Bundle, agent: Estimating, settings: Evaluate) -> dict[str, float]:
    """Return the coefficient of determination of what is estimated, by name, over the source.

    The policy acts on its own estimates; counted are all steps of each world's first episode once its history
    is full. Where the truth does not vary there is nothing to explain, and no entry.

    Args:
        bundle: The run's spec; of a set, names are `member/name` of those that are trained on.
        agent: The policy with its estimator.
        settings: How many episodes, and their seed.
    """
    if bundle.members:
        return {
            f"{name}/{what}": value
            for name, part in bundle.trained.items()
            for what, value in estimator_r2(part, agent, settings).items()
        }
    env = worlds(bundle, settings.episodes, None)
    rollout, found = Rollout(env, settings.seed), []
    while not rollout.over:
        if rollout.steps >= agent.config.history:
            pair = agent.compared(rollout.observation)
            found.append(torch.stack(pair)[:, torch.from_numpy(rollout.running)])
        rollout.advance(agent.act(rollout.observation, deterministic=True))
    env.close()
    return r2(torch.cat(found, 1), agent.estimated(bundle.program.names)) if found else {}


def r2(pair: torch.Tensor, names: Sequence[str]) -> dict[str, float]:
    """Return the coefficients of determination, by name.

    Args:
        pair: Estimates and truths `(2, n, k)`.
        names: Of the columns (k,). Columns of one name count as one quantity of several numbers: what is
            missed of all of them against how far all of them vary.
    """
    estimates, truths = pair.double().numpy()
    total = np.square(truths - truths.mean(0)).sum(0)
    missed = np.square(truths - estimates).sum(0)
    own = {name: [one == name for one in names] for name in names}
    return {
        name: float(1.0 - missed[at].sum() / spread)
        for name, at in own.items()
        if (spread := total[at].sum()) > 1e-9
    }
