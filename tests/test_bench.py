"""The benchmarks' bookkeeping; nothing here is timed."""

import ast
import importlib
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.fixture
def figures():
    return importlib.import_module("benches.figures")


@pytest.fixture
def contest():
    return importlib.import_module("benches.contest")


@pytest.mark.parametrize(
    ("sense", "value", "verdict"),
    [
        (">=", 1.2, "reached"),
        (">=", 1.19, "missed"),
        ("<=", 1.2, "reached"),
        ("<=", 1.21, "missed"),
        ("<", 1.2, "missed"),
        (">=", None, "missing"),
    ],
)
def test_a_bar_is_reached_missed_or_missing(figures, sense, value, verdict):
    assert figures.Figure("speed", value, bar=figures.Bar(sense, 1.2)).verdict == verdict


def test_a_figure_without_a_bar_is_only_stated(figures):
    assert figures.Figure("speed", 3.0).verdict == ""


def test_figures_show_their_range_and_say_why_they_are_missing(figures):
    bar = figures.Bar(">=", 1.2)
    assert figures.Figure("speed", 1.316, 1.25, 1.4, bar=bar).show() == "1.32 x [1.25, 1.4]"
    assert figures.Figure("speed", 1.3, bar=bar).show_bar() == ">= 1.2 x"
    assert figures.Figure("speed", missing="no wheel").show() == "missing: no wheel"


def test_entrants_are_measured_in_turn_after_a_round_that_does_not_count(contest):
    calls = []
    costs = contest.in_turn({name: lambda n=name: calls.append(n) or len(calls) for name in "AB"}, 2)
    assert calls == ["A", "B"] * 3
    assert costs == {"A": [3, 5], "B": [4, 6]}


def test_an_entrant_that_fails_drops_out_of_later_rounds(contest):
    calls = []

    def fails() -> float:
        calls.append(1)
        if len(calls) == 2:
            raise contest.PeerError("gone")
        return 1.0

    assert contest.in_turn({"A": lambda: 1.0, "B": fails}, 3) == {"A": [1.0] * 3}
    assert len(calls) == 2


def test_ratios_pair_the_rounds(contest, figures):
    match = contest.Contest(figures.Mode(rounds=3), "step")
    match.costs = {contest.OURS: [1.0, 2.0, 4.0], "peer": [2.0, 2.0, 12.0]}
    faster = match.speedup("speed", "peer", figures.Bar(">=", 1.5))
    assert (faster.value, faster.low, faster.high, faster.verdict) == (2.0, 1.0, 3.0, "reached")
    slower = match.overhead("time", "peer")
    assert (slower.value, slower.low, slower.high) == (0.5, 1 / 3, 1.0)
    assert [row["entrant"] for row in match.table()] == [contest.OURS, "peer"]


def test_a_peer_that_is_not_installed_is_missing_and_says_why(contest, figures, monkeypatch):
    venv = importlib.import_module("benches.venv")
    monkeypatch.setattr(venv, "FOLDER", TOOLS / "nowhere")
    monkeypatch.setitem(venv._tried, "envpool", "ERROR: no matching distribution")
    with contest.Contest(figures.Mode(rounds=1, window=0.0), "step") as match:
        match.add(contest.OURS, lambda window: 1.0)
        match.add_peer("EnvPool", "envpool", "envpool_steps.py")
        match.run()
    found = match.speedup("speed against EnvPool", "EnvPool", figures.Bar(">=", 1.2))
    assert found.verdict == "missing"
    assert found.show() == "missing: ERROR: no matching distribution"
    assert match.table()[-1]["setting"] == "missing: ERROR: no matching distribution"


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """Make a peer of a script's text, run by this very Python."""
    venv, worker = importlib.import_module("benches.venv"), importlib.import_module("benches.worker")
    monkeypatch.setattr(venv, "missing", lambda group: "")
    monkeypatch.setattr(venv, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(worker, "SCRIPTS", tmp_path)
    (tmp_path / "serve.py").write_text((TOOLS / "benches" / "peers" / "serve.py").read_text())

    def make(text: str):
        (tmp_path / "script.py").write_text(f"from serve import serve\n{text}")
        return worker.Peer("sb3", "script.py")

    return make


def test_a_peer_measures_whenever_it_is_asked_and_may_print(peer):
    text = "serve(lambda: ((lambda: print('noise') or 7), 'as it is'), ('numpy',))\n"
    with peer(text) as talk:
        assert talk.about["setting"] == "as it is"
        assert "numpy" in talk.about["versions"]
        assert talk.measure(0.0) > 0
        assert talk.measure(0.0) > 0


def test_a_peer_that_cannot_start_says_why(peer):
    error = importlib.import_module("benches.worker").PeerError
    with pytest.raises(error, match="ModuleNotFoundError: No module named 'nothing_like_it'"):
        peer("def make():\n    import nothing_like_it\nserve(make, ())\n")
    with pytest.raises(error, match="ended unasked"):
        peer("raise SystemExit(3)\n")


def test_the_overview_holds_every_figure_through_its_file(figures):
    results, table = importlib.import_module("benches.results"), importlib.import_module("benches.table")
    bar = figures.Bar(">=", 1.2)
    outcome = figures.Outcome([figures.Figure("a|b", 1.0, bar=bar), figures.Figure("c", missing="why")])
    made = results.record(table.ROWS[0], outcome, figures.Mode(), 0.0)
    assert [results.from_json(plain) for plain in made["figures"]] == outcome.figures
    text = figures.markdown(results.overview([made]))
    assert "| a\\|b | 1 x | >= 1.2 x | **missed** | `tools/bench cheetah` |" in text
    assert "| c | missing: why |  | **missing** |" in text


def test_quick_runs_never_write_where_results_are_committed(figures):
    results = importlib.import_module("benches.results")
    assert results.folder(figures.Mode()) == results.COMMITTED
    assert results.folder(figures.Mode.shortened()) == results.QUICK
    assert figures.Mode.shortened().rounds >= 5


def test_rows_are_chosen_by_name_and_those_by_name_only_need_it():
    table = importlib.import_module("benches.table")
    assert [row.name for row in table.chosen(["push", "cheetah"])] == ["cheetah", "push"]
    assert "learning" not in {row.name for row in table.chosen([])}
    with pytest.raises(ValueError, match="no row 'cheeta'; there are: cheetah, push"):
        table.chosen(["cheeta"])


def test_every_row_names_a_function_and_groups_that_exist():
    table, venv = importlib.import_module("benches.table"), importlib.import_module("benches.venv")
    assert len({row.name for row in table.ROWS}) == len(table.ROWS)
    for row in table.ROWS:
        module, _, name = row.function.partition(":")
        path = TOOLS / f"{module.replace('.', '/')}.py"
        assert set(row.groups) <= set(venv.GROUPS)
        if path.exists() or not row.by_name:
            tree = ast.parse(path.read_text())
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_list_names_every_row_and_measures_nothing():
    command = [sys.executable, "-m", "benches", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TOOLS)
    assert "(by name only)" in done.stdout
    for row in importlib.import_module("benches.table").ROWS:
        assert f"{row.name} " in done.stdout


@pytest.fixture
def spending():
    return importlib.import_module("benches.spending")


def test_nested_functions_each_get_only_their_own_time(spending):
    clock = [0.0]

    class Work:
        def outer(self, fail=False):
            clock[0] += 1
            self.inner(fail)
            clock[0] += 2

        def inner(self, fail):
            clock[0] += 4
            if fail:
                raise ValueError

    original, watch = Work.outer, spending.Stopwatch(lambda: clock[0])
    with watch.watching([(Work, "outer", "all"), (Work, "inner", "part")]):
        Work().outer()
        clock[0] += 100  # between calls nobody is watched
        with pytest.raises(ValueError):
            Work().outer(fail=True)
        Work().outer()
    assert Work.outer is original
    assert watch.seconds == {"all": 3 + 1 + 3, "part": 12}


def test_threads_are_counted_each_by_itself(spending):
    watch = spending.Stopwatch(lambda: float(threading.get_ident() != main))
    main, pause = threading.get_ident(), threading.Barrier(2)
    wait = watch.wrap(lambda: pause.wait(10), "waiting")
    other = threading.Thread(target=wait)
    other.start()
    wait()
    other.join()
    assert watch.seconds["waiting"] == 0.0  # neither clock moves, though they differ


def test_everything_that_is_watched_is_defined_where_it_says(spending):
    assert [(owner, name) for owner, name, _ in spending.WRAPPED if name not in vars(owner)] == []
    assert {part for _, _, part in spending.WRAPPED} == set(spending.PARTS)


@pytest.fixture
def spent(spending):
    """10 s of the learner for 1,000 world-steps, and 1 s of physics beside it."""
    parts = {spending.CRITICS: 10.0, spending.ENGINE: 0.75, spending.TASK: 0.25}
    return spending.Spent(1000, 500, 12.0, Counter(parts))


def test_time_is_summed_and_shared_by_thread(spending, spent):
    assert (spent.learner, spent.physics) == (10.0, 1.0)
    assert spent.share(spending.ENGINE) == pytest.approx(0.75 / 11)
    assert (spent + spent).share(spending.ENGINE) == spent.share(spending.ENGINE)
    lines = {row["us per world-step (share of both threads)"]: row for row in spending.shown({"sac": spent})}
    assert lines[spending.ENGINE]["sac"] == "750.0 (6.8%)"
    assert lines["**clock**"]["sac"] == "12000.0"


@pytest.mark.parametrize(("two", "sixteen"), [(2.0, 16.0), (1.0, 1.0), (0.8, 1.0), (4 / 3, 16 / 8.5)])
def test_amdahl_from_two_cores(two, sixteen):
    page = importlib.import_module("benches.scaling_page")
    assert page.amdahl(two, 16) == pytest.approx(sixteen)
    if two >= 1:
        assert page.amdahl(two, 2) == pytest.approx(two)


def test_the_page_computes_from_what_was_measured_and_says_which_is_which(spent):
    page = importlib.import_module("benches.scaling_page")
    trained = page.Trained(spent, 1.9)
    steps = {(64, 1): 0.002, (64, 2): 0.001, (4096, 1): 0.001, (4096, 2): 0.001}
    assert trained.overlap == pytest.approx(1.1)
    assert (trained.with_learner(4.0), trained.with_learner(20.0)) == (4.0, 10.0)
    assert trained.enough(steps) == 8  # 0.065 s for any number of worlds, and 0.001 s for each
    update = page.Update(67e9, 1000)
    assert update.on_gpu == pytest.approx(0.005)
    text = page.written(page.Found({"sac": trained}, steps, {(128, 1): 0.01, (128, 2): 0.02}, {128: update}))
    assert "| sac | 10000 m | 1000.0 m | 9.1% m | 1.10 x c | 10.0 c | 8 c | 1.90 x m |" in text
    assert "| 16 | 1.10 c | 15.20 c | 16.0 c | no gain c | no gain c |" in text
    assert "| 128 | 10000 m | 0.50 x m | 67000 c | 1000 c | 1000 c | 5000 c | 2.0 x c |" in text


def test_an_update_is_counted_from_its_shapes():
    hardware = importlib.import_module("benches.hardware")
    narrow, wide = hardware.count(16), hardware.count(64)
    assert narrow.launches == wide.launches > 100
    assert 5 < wide.flop / narrow.flop < 16


def curve(*returns, step=10.0):
    return [{"seconds": (i + 1) * step, "return": value} for i, value in enumerate(returns)]


@pytest.fixture
def learning():
    return importlib.import_module("benches.learning")


def test_time_to_a_return_is_compared_seed_by_seed_of_those_there_are(learning):
    curves = {
        ("pusher", learning.OURS, 0): curve(-60.0, -40.0),
        ("pusher", "SB3", 0): curve(-60.0, -50.0, -50.0, -40.0),
        ("pusher", learning.OURS, 1): curve(-40.0),
    }
    time, ahead = learning.compare(curves, "pusher", "SB3", range(5))
    assert (time.value, time.verdict, time.note) == (2.0, "missed", "1 of 5 seeds so far.")
    assert ahead.value == -50.0 + 50.0


def test_a_peer_that_never_gets_there_gives_a_lower_bound_and_none_a_gap(learning):
    curves = {
        ("pusher", learning.OURS, 0): curve(-40.0),
        ("pusher", "SBX", 0): curve(*[-60.0] * 12),
    }
    time, _ = learning.compare(curves, "pusher", "SBX", range(1))
    assert (time.value, time.verdict) == (12.0, "reached") and "(lower bound)" in time.what
    assert "did not get there within 120 s in 1 of them" in time.note
    (missing,) = learning.compare(curves, "pusher", "SB3", range(1))
    assert missing.missing == "no seed yet"
