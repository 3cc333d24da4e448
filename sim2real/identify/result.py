"""What an identification tells: a table for people, a document for programs, comments for the spec."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sim2real.identify.margins import moments
from sim2real.identify.posterior import Posterior
from sim2real.logs import Finding


@dataclass(frozen=True)
class Errors:
    """RMSE of one motion, replayed open loop as a whole [deg]; see `sim2real.replay.Motion.score`.

    Attributes:
        before: In the nominal domain.
        after: In the most likely one.
        fitted: Whether any of it was looked at.
        covered: Share of its samples inside the 90 % band of the posterior predictive.
        samples: How many those are, of each joint.
    """

    before: float
    after: float
    fitted: bool
    covered: float
    samples: int


@dataclass(frozen=True)
class Identified:
    """Parameters found in logs.

    Attributes:
        spec: The spec's file.
        posterior: What the logs say of them.
        errors: Of each motion, by name.
        findings: What is probably wrong with the logs.
        candidates: How many domains were simulated.
        whole: Terms that a spec cannot split by parameter, so that the written one keeps their prior.
        out: The spec written.
    """

    spec: str
    posterior: Posterior
    errors: Mapping[str, Errors]
    findings: Sequence[Finding]
    candidates: int
    whole: Sequence[str]
    out: str

    def document(self) -> dict[str, Any]:
        """Return it for other programs: errors in degrees, correlations of scores."""
        found = self.posterior
        return {
            "spec": self.spec,
            "out": self.out,
            "rmse_deg": summary(self.errors),
            "parameters": {name: self._row(i) for i, name in enumerate(found.space.names)},
            "posterior": "sampled" if found.sampling and found.sampling.enough else "laplace",
            "sampling": asdict(found.sampling) if found.sampling else None,
            "not_determined": list(found.open),
            "only_together": [list(pair) for pair in found.together],
            "correlation": found.correlation.tolist(),
            "left_out": found.space.left,
            "prior_kept": list(self.whole),
            "motions": {name: asdict(errors) for name, errors in self.errors.items()},
            "candidates": self.candidates,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def _row(self, i: int) -> dict[str, Any]:
        found = self.posterior
        column = int(found.space.columns[i])
        parameter = found.space.program.parameters[column]
        score = float(found.mean[i]), float(found.std[i])
        mean, std = moments(parameter.distribution, *score)
        return {
            "prior": parameter.distribution.describe(),
            "unit": parameter.unit,
            "most_likely": float(found.space.values(found.best[None])[0, column]),
            "mean": mean,
            "std": std,
            "shrinkage": float(found.shrinkage[i]),
            "verdict": found.verdict(i),
        }

    def table(self) -> str:
        """Return it for people."""
        told = self.document()
        rows = [["parameter", "prior", "posterior", "shrinkage", "verdict"]]
        for name, row in told["parameters"].items():
            value = f"{row['mean']:.4g} ± {row['std']:.2g} {row['unit']}".rstrip()
            rows.append([name, row["prior"], value, f"{row['shrinkage']:.2f}", row["verdict"]])
        fitted = sum(errors.fitted for errors in self.errors.values())
        lines = [f"{self.spec}: identified from {fitted} motions, {self.candidates} candidates", ""]
        lines += _columns(rows)
        lines += ["", *notes(self.posterior, self.errors)]
        lines += [f"left out: {name}: {why}" for name, why in self.posterior.space.left.items()]
        lines += [f"prior kept: {name}: its parameters cannot be selected one by one" for name in self.whole]
        if self.findings:
            lines += ["", "findings:", *(f"  {finding}" for finding in self.findings)]
        return "\n".join(lines)


def notes(found: Posterior, errors: Mapping[str, Errors]) -> list[str]:
    """Return what the written spec says of itself, in lines."""
    lines: list[str] = []
    for what, rmse in summary(errors).items():
        count = sum(e.fitted == (what == "fitted") for e in errors.values())
        lines.append(
            f"RMSE of motions {what.replace('_', ' ')} ({count}): {rmse['before']:.3g} deg in the nominal "
            f"domain, {rmse['after']:.3g} in the most likely one; 90 % bands cover {rmse['covered']:.1%}"
        )
    if found.sampling:
        lines.append(f"posterior: {found.sampling}")
    if found.open:
        lines.append(f"not determined by these logs: {', '.join(found.open)}")
    lines += [f"only together: {a} and {b} (correlation {rho:.2f})" for a, b, rho in found.together]
    return lines


def summary(errors: Mapping[str, Errors]) -> dict[str, dict[str, float]]:
    """Return mean errors before and after, of motions `fitted` and, if there are any, `held_out`.

    Beside them stands the share of samples that bands cover.
    """
    found: dict[str, dict[str, float]] = {}
    for key, fitted in (("fitted", True), ("held_out", False)):
        own = [e for e in errors.values() if e.fitted == fitted]
        if own:
            found[key] = {name: sum(getattr(e, name) for e in own) / len(own) for name in ("before", "after")}
            inside = sum(e.covered * e.samples for e in own)
            found[key]["covered"] = inside / sum(e.samples for e in own)
    return found


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
