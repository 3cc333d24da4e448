"""`sim2real identify`: logs → a search of the cube → a posterior → a spec whose source it is."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from randomizers.words import did_you_mean
from sim2real.identify.objective import Objective
from sim2real.identify.posterior import Posterior, posterior, weights
from sim2real.identify.predict import DRAWS, covered, residuals
from sim2real.identify.refine import refine
from sim2real.identify.result import Errors, Identified, notes
from sim2real.identify.sample import sample
from sim2real.identify.search import Journal, evolve
from sim2real.identify.segments import Segment, segments
from sim2real.identify.space import space_of
from sim2real.identify.write import identified, write
from sim2real.logs import Log, LogError, Reading
from sim2real.progress import Progress
from sim2real.replay import Motion, constants, player_in, prepared, robot_of
from sim2real.replay import Request as ReplayRequest
from sim2real.spec import Bundle, Catalog, domain

Floats = NDArray[np.float64]
Method = Literal["both", "evolution", "least-squares"]
Approximation = Literal["laplace", "sampled"]


@dataclass(frozen=True)
class Request:
    """What to identify, from what.

    Attributes:
        paths: Files and folders of logs.
        out: The spec to write.
        reading: What the logs do not say themselves.
        seconds: From when to when, counted from a log's first row [s].
        terms: Names of terms or parameters; all by default.
        hold_out: Motions that are not fitted, by name.
        method: A `Method`: CMA-ES from afar, least squares from near, or one after the other.
        candidates: About how many domains are simulated to find the most likely one.
        pieces: How many pieces of the logs are simulated for each.
        piece: Length of a piece [s].
        seed: Of the search.
        posterior: An `Approximation`: Laplace's, or the moments of samples.
    """

    paths: tuple[Path, ...]
    out: Path
    reading: Reading = field(default_factory=Reading)
    seconds: tuple[float, float] = (0.0, float("inf"))
    terms: tuple[str, ...] = ()
    hold_out: tuple[str, ...] = ()
    method: str = "both"
    candidates: int = 1000
    pieces: int = 12
    piece: float = 4.0
    seed: int = 0
    posterior: str = "laplace"


def identify(bundle: Bundle, request: Request, catalog: Catalog, progress: Progress) -> Identified:
    """Identify terms of a spec from logs, and write a spec whose source is the posterior.

    Raises:
        LogError: If a log cannot be read, or does not fit the model.
        ValueError: If there is nothing to identify, or nothing to identify it from.
    """
    _check(bundle, request)
    program = bundle.program
    logs, findings = prepared(
        program, ReplayRequest(request.paths, "nominal", request.reading, request.seconds)
    )
    fitted = _fitted(logs, request.hold_out)
    base = domain(program, "nominal", constants(program)).v
    space = space_of(program, base, request.terms)
    pieces = segments(fitted, request.piece, request.pieces)
    objective = Objective(space, lambda v: player_in(bundle, v, smooth=True), pieces)
    journal = Journal(request.out.with_suffix(".search.json"), _key(bundle, request, pieces))
    found = fit(objective, request, journal, progress)
    spread = residuals(objective, found.best)
    errors = _errors(bundle, found, logs, {log.name for log in fitted}, spread, progress)
    about = [
        f"sim2real identify {bundle.spec.path}, from {len(pieces)} pieces of {request.piece:g} s of",
        f"  {', '.join(log.name for log in fitted)}",
    ]
    text, whole = identified(bundle, found, [*about, *notes(found, errors)])
    write(request.out, text, catalog)
    journal.remove()
    return Identified(
        str(bundle.spec.path), found, errors, findings, objective.candidates, whole, str(request.out)
    )


def fit(objective: Objective, request: Request, journal: Journal, progress: Progress) -> Posterior:
    """Return the posterior of an objective's parameters, by the method that is asked for."""
    found = _laplace(objective, request, journal, progress)
    return sample(objective, found, request.seed, progress) if request.posterior == "sampled" else found


def _laplace(objective: Objective, request: Request, journal: Journal, progress: Progress) -> Posterior:
    if journal.found is not None:
        return Posterior(objective.space, *journal.found)
    z, many = np.zeros(len(objective.space.columns)), request.candidates
    if request.method == "both":
        many = many // 2
    if request.method != "least-squares":
        z, _ = evolve(objective.loss, len(z), many, request.seed, journal, progress)
    if request.method == "evolution":
        weight = weights(objective, objective.errors(z[None])[0])
    else:
        z, weight = refine(objective, z, many, progress)
    found = posterior(objective, z, weight)
    journal.keep(found.mean, found.covariance)
    return found


def _check(bundle: Bundle, request: Request) -> None:
    if bundle.members:
        raise ValueError(f"{bundle.spec.path}: a set has several models; identify needs a spec of one")
    for key, given, known in (
        ("method", request.method, get_args(Method)),
        ("posterior", request.posterior, get_args(Approximation)),
    ):
        if given not in known:
            raise ValueError(f"--{key} cannot be '{given}'{did_you_mean(given, known)}")
    if request.out.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{request.out}: a spec is a .yaml")
    if not request.out.parent.is_dir():
        raise ValueError(f"{request.out}: there is no folder {request.out.parent}")


def _fitted(logs: Sequence[Log], hold_out: Sequence[str]) -> list[Log]:
    names = [log.name for log in logs]
    for name in hold_out:
        if name not in names:
            raise LogError(f"--hold-out: no motion is called '{name}'{did_you_mean(name, names)}")
    fitted = [log for log in logs if log.name not in hold_out]
    if not fitted:
        raise LogError("--hold-out leaves no motion to fit")
    return fitted


def _key(bundle: Bundle, request: Request, pieces: Sequence[Segment]) -> str:
    """Return a hash of all that losses depend on."""
    told = asdict(request) | {"out": "", "hold_out": sorted(request.hold_out)}
    digest = hashlib.sha256(repr((bundle.spec.text, told)).encode())
    for piece in pieces:
        for array in (piece.log.time, piece.log.position, piece.log.command):
            digest.update(array.tobytes())
    return digest.hexdigest()


def _errors(
    bundle: Bundle,
    found: Posterior,
    logs: Sequence[Log],
    fitted: set[str],
    spread: Mapping[str, Floats],
    progress: Progress,
) -> dict[str, Errors]:
    """Replay whole motions in the nominal and the most likely domain, and in some of the posterior."""
    best, drawn = (found.space.values(z) for z in (found.best[None], found.draw(DRAWS, 0)))
    player = player_in(bundle, np.concatenate([found.space.base[None], best, drawn]))
    joints, errors = robot_of(bundle.program.model).joints, dict[str, Errors]()
    progress.begin("replay", len(logs))
    for number, log in enumerate(logs, 1):
        played = player.play(log)
        before, after = (Motion(log, joints, positions).score() for positions in played[:2])
        band = covered(log, played[2:], spread)
        errors[log.name] = Errors(before, after, log.name in fitted, band, int(log.seen.sum()))
        progress.move("replay", number)
    progress.end("replay")
    return errors
