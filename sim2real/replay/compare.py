"""What a replay finds: how far simulated joints are from measured ones, for each joint of each motion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real.logs import Finding, Joints, Log
from sim2real.spec import Domain

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """One log and its replay.

    Attributes:
        log: Matched to the model.
        joints: The model's, among them the log's.
        simulated: Where its joints were in its rows (n, j); NaN if the simulation became unstable.
    """

    log: Log
    joints: Joints
    simulated: Floats

    @property
    def hinge(self) -> NDArray[np.bool_]:
        """Which of the log's joints turn (j,)."""
        return self.joints.take(self.log.joints).hinge

    @property
    def turning(self) -> set[str]:
        """Names of the joints that turn."""
        return {name for name, turns in zip(self.log.joints, self.hinge, strict=True) if turns}

    def rmse(self, positions: Floats) -> Floats:
        """Return the root mean square error of positions (n, j) by joint (j,) [deg], or [mm] for slides."""
        seen = self.log.seen
        error = np.sqrt(np.mean((positions[seen] - self.log.position[seen]) ** 2, axis=0))
        return error * np.where(self.hinge, np.degrees(1.0), 1000.0)

    def score(self, positions: Floats | None = None) -> float:
        """Return the RMSE of positions (n, j), by default simulated ones: mean of joints that turn [deg]."""
        found = self.rmse(self.simulated if positions is None else positions)[self.hinge]
        return float(found.mean()) if len(found) else float("nan")


@dataclass(frozen=True)
class Replay:
    """Motions replayed in one domain.

    Attributes:
        spec: The spec's file.
        domain: The domain.
        motions: By name.
        findings: What is probably wrong with the logs, or was left out.
    """

    spec: str
    domain: Domain
    motions: Mapping[str, Motion]
    findings: Sequence[Finding]

    @property
    def worst(self) -> str:
        """Name of the motion with the largest error; one that became unstable before all others."""
        scores = {name: motion.score() for name, motion in self.motions.items()}
        return max(scores, key=lambda name: np.nan_to_num(scores[name], nan=np.inf))

    def document(self) -> dict[str, Any]:
        """Return it for other programs: errors in degrees, or millimetres of joints that slide."""
        scores = [motion.score() for motion in self.motions.values()]
        perfect = [motion.score(motion.log.command) for motion in self.motions.values()]
        given = {key: float(value) for key, value in self.domain.given.items()}
        return {
            "mean_rmse_deg": _number(np.mean(scores)),
            "mean_rmse_deg_if_commands_were_met": _number(np.mean(perfect)),
            "spec": self.spec,
            "domain": {"name": self.domain.name, "values": given},
            "joints": {name: _number(value) for name, value in self.by_joint().items()},
            "motions": {name: _row(motion) for name, motion in self.motions.items()},
            "findings": [asdict(finding) for finding in self.findings],
        }

    def by_joint(self) -> dict[str, float]:
        """Return each joint's error [deg] or [mm], mean of the motions that have it."""
        found: dict[str, list[float]] = {}
        for motion in self.motions.values():
            for name, value in zip(motion.log.joints, motion.rmse(motion.simulated), strict=True):
                found.setdefault(name, []).append(float(value))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def table(self) -> str:
        """Return it for people."""
        joints = self.by_joint()
        turns = {name for motion in self.motions.values() for name in motion.turning}
        units = (name if name in turns else f"{name} [mm]" for name in joints)
        head = ["RMSE [deg]", *units, "mean", "if commands were met"]
        rows = [head]
        for name, motion in self.motions.items():
            own = dict(zip(motion.log.joints, motion.rmse(motion.simulated), strict=True))
            ends = motion.score(), motion.score(motion.log.command)
            rows.append([name, *(_text(own.get(joint)) for joint in joints), *map(_text, ends)])
        total = self.document()
        ends = total["mean_rmse_deg"], total["mean_rmse_deg_if_commands_were_met"]
        rows.append(["mean", *map(_text, joints.values()), *map(_text, ends)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        where = f"{self.domain.name} ({self.domain.describe() or 'the model as it is'})"
        told = ["", "findings:", *(f"  {finding}" for finding in self.findings)] if self.findings else []
        return "\n".join([f"{self.spec}: open-loop replay in {where}", "", *lines, *told])


def _row(motion: Motion) -> dict[str, Any]:
    log = motion.log
    errors = zip(log.joints, motion.rmse(motion.simulated), strict=True)
    return {
        "mean_rmse_deg": _number(motion.score()),
        "mean_rmse_deg_if_commands_were_met": _number(motion.score(log.command)),
        "rmse": {name: _number(value) for name, value in errors},
        "unit": dict(zip(log.joints, np.where(motion.hinge, "deg", "mm").tolist(), strict=True)),
        "source": log.source,
        "rows": int(log.seen.sum()),
        "seconds": float(log.time[-1] - log.time[0]),
        "stable": bool(np.isfinite(motion.simulated).all()),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
