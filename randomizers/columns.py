"""The inverse CDFs of many parameters at once."""

from collections.abc import Sequence

import numpy as np

from randomizers.distributions import Distribution, Floats, Uniform


class Columns:
    """Distributions of d parameters, as one map from quantiles (n, d) to values (n, d).

    Every number is what the parameter's own `ppf` gives, bit for bit.

    Args:
        distributions: The parameters' (d,).
    """

    def __init__(self, distributions: Sequence[Distribution]) -> None:
        by_kind: dict[Distribution, list[int]] = {}
        uniform = [j for j, one in enumerate(distributions) if type(one) is Uniform]
        for j in set(range(len(distributions))) - set(uniform):
            by_kind.setdefault(distributions[j], []).append(j)
        self._uniform = np.array(uniform, dtype=np.int64)
        self._low, self._high = np.array([distributions[j].support for j in uniform]).reshape(-1, 2).T.copy()
        self._others = [(one, np.array(columns)) for one, columns in by_kind.items()]

    def ppf(self, q: Floats) -> Floats:
        """Map quantiles (n, d) to values (n, d)."""
        if not self._others:
            return self._ppf_uniform(q)
        v = np.empty_like(q)
        v[:, self._uniform] = self._ppf_uniform(q[:, self._uniform])
        for distribution, columns in self._others:
            v[:, columns] = distribution.ppf(q[:, columns].ravel()).reshape(len(q), len(columns))
        return v

    def _ppf_uniform(self, q: Floats) -> Floats:
        # As `Uniform.ppf`, with the ends of each column.
        values = self._low + q * (self._high - self._low)
        return np.minimum(np.maximum(values, self._low, out=values), self._high, out=values)
