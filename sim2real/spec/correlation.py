"""Parameters drawn together: a Gaussian copula over named terms, which leaves each one's own distribution."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from randomizers import Normal, TruncatedNormal
from randomizers.units import parse_quantity
from sim2real.spec.source import Problem

if TYPE_CHECKING:
    from sim2real.spec.program import Program

Floats = NDArray[np.float64]
_Entry = Annotated[float, BeforeValidator(lambda raw: parse_quantity(raw, ""))]


class Correlate(BaseModel):
    """Parameters that are drawn together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    terms: tuple[str, ...] = Field(min_length=2, description="terms of one parameter, or TERM.PARAMETER")
    correlation: _Entry | tuple[tuple[_Entry, ...], ...] | None = Field(
        None, description="of all pairs alike, or a matrix; between the terms' normal scores"
    )
    covariance: tuple[tuple[_Entry, ...], ...] | None = Field(
        None,
        description="a matrix, in the terms' own units; each term must be normal, or truncated normal, with "
        "that variance (before it is truncated)",
    )

    @model_validator(mode="after")
    def _one_square_matrix(self) -> "Correlate":
        if (self.correlation is None) == (self.covariance is None):
            raise ValueError("exactly one of correlation, covariance is wanted")
        if len(set(self.terms)) < len(self.terms):
            raise ValueError("a term is named twice")
        matrix, k = self.matrix(), len(self.terms)
        if matrix.shape != (k, k):
            raise ValueError(f"the matrix must have {k} rows of {k} numbers, one for each term")
        if (matrix != matrix.T).any():
            raise ValueError("the matrix must be symmetric")
        if self.covariance is None and (np.diag(matrix) != 1).any():
            raise ValueError("a correlation matrix has ones on its diagonal")
        if not (np.linalg.eigvalsh(matrix) > 0).all():
            raise ValueError("the matrix must be positive definite: no such joint distribution exists")
        return self

    def matrix(self) -> Floats:
        """Return the matrix given, (k, k); an empty one where its rows are uneven."""
        given: Any = self.covariance if self.covariance is not None else self.correlation
        if isinstance(given, float):
            return np.where(np.eye(len(self.terms)) == 1, 1.0, given)
        even = len({len(row) for row in given}) == 1
        return np.array(given, dtype=np.float64) if even else np.zeros((0, 0))


class Correlation:
    """A `Correlate` bound to a program.

    Attributes:
        columns: The columns of the cube, (k,).
        matrix: The correlation of their normal scores, (k, k).
    """

    def __init__(self, columns: list[int], matrix: Floats) -> None:
        self.columns = np.array(columns)
        std = np.sqrt(np.diag(matrix))
        self.matrix = matrix / np.outer(std, std)
        self._factor = np.linalg.cholesky(self.matrix)

    def apply(self, q: Floats) -> Floats:
        """Correlate independent quantiles (n, k): Φ(L Φ⁻¹(q)), the Gaussian copula."""
        from scipy.special import ndtr, ndtri

        scores = ndtri(np.maximum(q, 2.0**-54)) @ self._factor.T
        return np.minimum(ndtr(scores), 1.0 - 2.0**-53)


def bind_correlations(
    groups: Mapping[str, Correlate], program: "Program", refused: Collection[str]
) -> tuple[list[Correlation], list[Problem]]:
    """Find the columns of every group.

    Args:
        groups: By name.
        program: Whose parameters they name.
        refused: Terms that are wrong themselves; groups that name them are passed over.

    Returns:
        The groups bound, and all problems: unknown names, several parameters, one in two groups, variances
        that are not the terms' own.
    """
    bound: list[Correlation] = []
    problems: list[Problem] = []
    taken: dict[int, str] = {}
    for name, group in groups.items():
        if {term.partition(".")[0] for term in group.terms} & set(refused):
            continue
        try:
            columns = [_column(program, term) for term in group.terms]
            _check(program, group, columns)
            for term, column in zip(group.terms, columns, strict=True):
                if column in taken:
                    raise ValueError(f"'{term}' is in '{taken[column]}' already")
        except ValueError as error:
            problems.append(Problem(("correlate", name), str(error)))
            continue
        taken |= dict.fromkeys(columns, name)
        bound.append(Correlation(columns, group.matrix()))
    return bound, problems


def _column(program: "Program", term: str) -> int:
    columns = program.columns(term)
    if len(columns) > 1:
        first = program.names[columns[0]]
        raise ValueError(f"'{term}' has {len(columns)} parameters; name one, as '{first}', or share the draw")
    return columns[0]


def _check(program: "Program", group: Correlate, columns: list[int]) -> None:
    if group.covariance is None:
        return
    for term, column, variance in zip(group.terms, columns, np.diag(group.matrix()), strict=True):
        own = program.parameters[column].distribution
        if not isinstance(own, Normal | TruncatedNormal):
            raise ValueError(f"a covariance needs normal terms, but '{term}' is {own.describe()}")
        if not np.isclose(own.std**2, variance, rtol=1e-6):
            raise ValueError(f"the variance of '{term}' is {variance:g} here, but {own.std**2:g} in its term")
