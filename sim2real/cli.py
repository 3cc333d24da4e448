"""Words to the user; no logic. Everything heavy is imported inside the commands."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from sim2real.runs import Run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Sim-to-real transfer: randomize physics in YAML, train, and measure zero- and few-shot transfer.",
)

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Logs = Annotated[list[Path], typer.Argument(metavar="LOGS...", help="Logs, datasets, or folders of them.")]
Units = Annotated[
    list[str] | None,
    typer.Option(metavar="[KEY=]UNIT", help="rad, deg, m100_100 or 0_100; KEY is a joint or column."),
]
Reverse = Annotated[list[str] | None, typer.Option(metavar="JOINT", help="It counts the other way.")]
Rename = Annotated[list[str] | None, typer.Option(metavar="LOGGED=JOINT", help="Its name in the model.")]
Topic = Annotated[list[str] | None, typer.Option(metavar="state|command=TOPIC", help="Of a bag.")]
Seconds = Annotated[str, typer.Option(metavar="FROM:TO", help="Only this part of each log.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON instead of a table.")]


@app.command()
def train(
    spec: Annotated[Path | None, typer.Argument(metavar="[SPEC]", help="A spec file.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override, such as train.steps=1e5."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The run's seed.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder [runs/<spec>/<time>-s<seed>].")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue a run exactly.")] = None,
) -> None:
    """Train a policy across the spec's worlds, and its baseline without randomization."""
    if (spec is None) == (resume is None):
        _fail("give a SPEC to start a run, or --resume RUN to continue one", 2)
    if resume is not None and (set_ or seed is not None or out is not None):
        _fail("--resume continues a run as it was; it takes no --set, --seed or --out", 2)
    with _errors():
        from sim2real import runs
        from sim2real.progress import Progress
        from sim2real.train import start
        from sim2real.train import train as train_run

        overrides = [*(set_ or []), *([f"train.seed={seed}"] if seed is not None else [])]
        run = start(spec, tuple(overrides), out) if spec is not None else runs.open_run(resume or Path())
        typer.echo(f"run folder: {run.path}")
        try:
            with Progress() as progress:
                train_run(run, progress)
        except (runs.Interrupted, KeyboardInterrupt):
            typer.echo(f"\nstopped and saved; continue with:\n  sim2real train --resume {run.path}")
            raise typer.Exit(130) from None
        typer.echo(f"trained; next:\n  sim2real evaluate {run.path}")


@app.command()
def evaluate(
    run: RunFolder,
    targets: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    suite: Annotated[
        str, typer.Option(help="targets, or grid: each term alone, in and out of range.")
    ] = "targets",
    episodes: Annotated[int | None, typer.Option(min=2, help="Episodes for each target and shot.")] = None,
    shots: Annotated[str | None, typer.Option(help="Target episodes to adapt on, such as 0,1,5.")] = None,
    finetune: Annotated[str | None, typer.Option(metavar="MODE", help="How to adapt, such as bias.")] = None,
    retention: Annotated[
        bool | None, typer.Option("--retention", help="Measure adapted policies on the source too.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="targets.NAME=…, another target.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm all episodes on robots beforehand.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print evaluation.json instead of a table.")] = False,
) -> None:
    """Measure transfer to the held-out targets: zero-shot, and after a few target episodes."""
    with _errors():
        from sim2real.evaluation.evaluate import Request
        from sim2real.evaluation.evaluate import evaluate as evaluate_run
        from sim2real.evaluation.report import headline, table
        from sim2real.progress import Progress

        chosen = tuple(name.strip() for name in targets.split(",")) if targets else None
        numbers = _numbers(shots) if shots else None
        request = Request(chosen, suite, episodes, numbers, finetune, retention, tuple(set_ or ()), yes)
        with Progress() as progress:
            result = evaluate_run(_open(run), request, progress)
        if json_:
            typer.echo(json.dumps(result))
            return
        typer.echo(f"{table(result)}\n\n{headline(result)}\n")
        typer.echo(f"next:\n  sim2real record {run} --worst\n  sim2real report {run}")


@app.command()
def record(
    run: RunFolder,
    target: Annotated[str | None, typer.Option(help="Which target [the first].")] = None,
    worst: Annotated[
        bool, typer.Option("--worst", help="The target with the worst zero-shot return.")
    ] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="An .mp4 or .gif file.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest video.")] = 10.0,
) -> None:
    """Record the policy on nominal and target dynamics, side by side."""
    if target and worst:
        _fail("give --target or --worst, not both", 2)
    with _errors():
        from sim2real.evaluation.video import record as record_run
        from sim2real.evaluation.video import worst_target
        from sim2real.progress import Progress

        opened = _open(run)
        name = worst_target(opened.results()) if worst else target
        path = out or opened.path / "videos" / f"{(name or 'target').replace('/', '-')}.mp4"
        with Progress() as progress:
            path = record_run(opened, name, path, progress, seconds=seconds)
        typer.echo(f"video: {path}")


@app.command()
def inspect(
    spec: Spec,
    set_: Set = None,
    preview: Annotated[Path | None, typer.Option(help="Write a sheet of randomized worlds (.png).")] = None,
) -> None:
    """Show every parameter of a spec, and check that each term changes something."""
    with _errors():
        from sim2real.inspection import describe
        from sim2real.session import CATALOG
        from sim2real.spec import load

        bundle = load(spec, CATALOG, tuple(set_ or ()))
        typer.echo(describe(bundle))
        if preview is not None:
            from sim2real.inspection import preview as write_preview

            write_preview(bundle, preview)
            typer.echo(f"preview: {preview}")


@app.command()
def replay(
    spec: Spec,
    logs: Logs,
    domain: Annotated[
        str, typer.Option(help="nominal, or a target of the spec [identified, if there is such a target].")
    ] = "",
    units: Units = None,
    reverse: Reverse = None,
    rename: Rename = None,
    topic: Topic = None,
    seconds: Seconds = "0:",
    plot: Annotated[Path | None, typer.Option(help="Draw measured and simulated joints (.png).")] = None,
    video: Annotated[
        Path | None, typer.Option(help="Film the worst motion, beside what was measured.")
    ] = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Drive a spec's model by the commands of real logs, and compare it with what was measured."""
    with _errors():
        from sim2real.progress import Progress
        from sim2real.replay import Request, reading, span
        from sim2real.replay import replay as replay_logs
        from sim2real.session import CATALOG
        from sim2real.spec import load

        told = reading(units or (), reverse or (), rename or (), topic or ())
        request = Request(tuple(logs), domain, told, span(seconds))
        bundle = load(spec, CATALOG, tuple(set_ or ()))
        with Progress() as progress:
            result = replay_logs(bundle, request, progress)
            if plot is not None:
                from sim2real.replay.plot import plot as draw

                draw(result, plot)
            if video is not None:
                from sim2real.replay.video import record as film

                film(bundle, result, video, progress)
        typer.echo(json.dumps(result.document()) if json_ else result.table())


@app.command()
def identify(
    spec: Spec,
    logs: Logs,
    out: Annotated[Path, typer.Option("-o", "--out", help="The spec to write.")] = Path("identified.yaml"),
    terms: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    hold_out: Annotated[
        str | None, typer.Option(help="Motions that are not fitted, separated by commas.")
    ] = None,
    method: Annotated[str, typer.Option(help="both, evolution or least-squares.")] = "both",
    candidates: Annotated[int, typer.Option(min=1, help="Domains to simulate, about.")] = 1000,
    pieces: Annotated[int, typer.Option(min=1, help="Pieces of the logs that each is held against.")] = 12,
    piece: Annotated[float, typer.Option(min=0.5, help="Length of a piece, in seconds.")] = 4.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    posterior: Annotated[str, typer.Option(help="laplace, or sampled: by simulation.")] = "laplace",
    units: Units = None,
    reverse: Reverse = None,
    rename: Rename = None,
    topic: Topic = None,
    seconds: Seconds = "0:",
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Find a spec's parameters in real logs, and write a spec whose source is what they leave open."""
    with _errors():
        from sim2real.identify import Request
        from sim2real.identify import identify as identify_terms
        from sim2real.progress import Progress
        from sim2real.replay import reading, span
        from sim2real.session import CATALOG
        from sim2real.spec import load

        told = reading(units or (), reverse or (), rename or (), topic or ())
        chosen, held = (
            tuple(name.strip() for name in text.split(",")) if text else () for text in (terms, hold_out)
        )
        request = Request(
            tuple(logs), out, told, span(seconds), chosen, held, method, candidates, pieces, piece, seed,
            posterior)  # fmt: skip
        bundle = load(spec, CATALOG, tuple(set_ or ()))
        try:
            with Progress() as progress:
                found = identify_terms(bundle, request, CATALOG, progress)
        except KeyboardInterrupt:
            _fail("\nstopped; the same command goes on", 130)
        typer.echo(json.dumps(found.document()) if json_ else found.table())
        if not json_:
            typer.echo(f"\nspec: {out}; next:\n  sim2real train {out}")


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file.")] = Path("policy.onnx"),
) -> None:
    """Write the trained policy as one ONNX file with a contract, for a robot."""
    with _errors():
        from sim2real.deploy.contract import describe
        from sim2real.export.export import export as export_run

        typer.echo(describe(export_run(_open(run), out)))
        typer.echo(f"policy: {out}; next:\n  sim2real verify {out} {run}")


@app.command()
def verify(
    policy: Annotated[Path, typer.Argument(metavar="POLICY", help="A file that export wrote.")],
    run: RunFolder,
    robot: Annotated[
        Path | None, typer.Option(metavar="SPEC|XML", help="The robot that it must fit [the run's].")
    ] = None,
    any_spec: Annotated[bool, typer.Option("--any-spec", help="It may be of another spec.")] = False,
) -> None:
    """Compare a policy file with its run on 10,000 observations, and with a robot; exit 1 if it differs."""
    with _errors():
        from sim2real.export.verify import verify as verify_file

        result = verify_file(policy, _open(run), robot, any_spec)
        typer.echo(str(result))
        if not result.passed:
            _fail(f"sim2real: {policy} is not the policy of {run}", 1)


@app.command()
def report(run: RunFolder) -> None:
    """Write one self-contained HTML file about an evaluated run."""
    with _errors():
        from sim2real.evaluation.report import write_report

        typer.echo(f"report: {write_report(_open(run))}")


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="envs|randomizers|agents|methods", show_default=False)],
) -> None:
    """List what a spec may name."""
    from sim2real.catalog import KINDS

    if what not in KINDS:
        _fail(f"cannot list '{what}'; there are: {', '.join(KINDS)}", 2)
    with _errors():
        rows = KINDS[what]()
        width = max(map(len, rows), default=0)
        for name, text in rows.items():
            typer.echo(f"{name:<{width}}  {text}")


def main() -> None:
    """Run the command line."""
    app()


def _open(path: Path) -> "Run":
    from sim2real.runs import open_run

    return open_run(path)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        _fail(f"--shots takes whole numbers separated by commas, given '{text}'", 2)
    if min(numbers) < 0:
        _fail("--shots cannot be negative", 2)
    return numbers


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def _errors() -> Iterator[Any]:
    """Turn mistakes into their messages: exit 2 for a spec or an argument, 1 for a run or the machine."""
    from sim2real.runs import Interrupted, RunError
    from sim2real.spec import SpecError
    from sim2real.worlds import RenderingUnavailableError

    try:
        yield
    except SpecError as error:
        _fail(str(error), 2)
    except (RunError, RenderingUnavailableError, ValueError) as error:
        _fail(f"sim2real: {error}", 1)
    except (KeyboardInterrupt, Interrupted):
        _fail("\nstopped", 130)


if __name__ == "__main__":
    sys.exit(main())
