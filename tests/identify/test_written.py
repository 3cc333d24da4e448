"""The spec that is written: its source is the posterior, its targets are the old ones, and it loads."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from sim2real.cli import app
from sim2real.identify import Posterior
from sim2real.identify.margins import moments
from sim2real.identify.space import space_of
from sim2real.identify.write import identified, write
from sim2real.logs import write_csv
from sim2real.replay import constants
from sim2real.session import CATALOG
from sim2real.spec import SpecError, load, load_text
from tests.replay.arm import NAME, asked, domain, logged

TEXT = f"""
# A comment.
env: {NAME}
randomize:
  gains: {{type: kp, select: "shoulder_lift|elbow_flex", scale: {{log_uniform: [0.01, 1.0]}}}}
  links: {{type: mass, select: "upper_arm|lower_arm", scale: [0.8, 1.2], share: true}}
  delay: {{type: action_latency, set: [0 ms, 60 ms]}}
  noise: {{type: observation_noise, set: [0, 0.01], channels: ["0:6"]}}
targets:
  soft: {{gains: 0.005, gains.elbow_flex: 2.0, delay: 20 ms}}
train: {{steps: 1000, seed: 3}}
"""
MEAN = np.array([-0.5, 0.3, 0.0, -0.2])
STD = np.array([0.1, 0.05, 1.0, 0.3])
CORRELATION = np.array([[1, 0.6, 0, -0.4], [0.6, 1, 0, 0.2], [0, 0, 1, 0], [-0.4, 0.2, 0, 1]])


@pytest.fixture(scope="module")
def bundle():
    return load_text(TEXT, "arm.yaml", CATALOG)


@pytest.fixture(scope="module")
def found(bundle):
    space = space_of(bundle.program, bundle.program.nominal)
    return Posterior(space, MEAN, CORRELATION * np.outer(STD, STD))


def test_its_source_is_the_posterior(bundle, found):
    text, whole = identified(bundle, found, ["from logs"])
    assert text.startswith("# from logs\n") and whole == []
    made = load_text(text, "out.yaml", CATALOG).program
    assert made.names == ("gains_shoulder_lift", "gains_elbow_flex", "links", "delay", "noise")
    n = 4000
    drawn = made.values(made.quantiles(1, np.arange(n), np.zeros(n, dtype=np.int64)))
    wanted = found.space.values(found.draw(n, 2))
    scale = wanted[:, :4].std(axis=0)
    np.testing.assert_allclose(drawn[:, :4].mean(axis=0), wanted[:, :4].mean(axis=0), atol=0.08 * scale.max())
    assert (np.abs(drawn[:, :4].mean(axis=0) - wanted[:, :4].mean(axis=0)) < 0.08 * scale).all()
    np.testing.assert_allclose(drawn[:, :4].std(axis=0), scale, rtol=0.06)
    both = [np.corrcoef(x[:, :4].T) for x in (drawn, wanted)]
    np.testing.assert_allclose(both[0], both[1], atol=0.06)
    # What the logs left open keeps its prior, as it was written; the rest of the spec is as it was.
    assert made.parameters[2] == bundle.program.parameters[2]
    assert made.parameters[4] == bundle.program.parameters[4]
    assert load_text(text, "out.yaml", CATALOG).spec.train == bundle.spec.train


def test_it_says_the_covariance_of_values(bundle, found):
    made = load_text(identified(bundle, found, [])[0], "out.yaml", CATALOG).spec
    group = made.correlate["posterior"]
    assert group.terms == ("gains_shoulder_lift", "gains_elbow_flex", "delay")
    told = np.array(group.covariance)
    own = [bundle.program.parameters[j].distribution for j in (0, 1, 3)]
    std = [moments(p, m, s)[1] for p, m, s in zip(own, MEAN[[0, 1, 3]], STD[[0, 1, 3]], strict=True)]
    expected = CORRELATION[np.ix_([0, 1, 3], [0, 1, 3])] * np.outer(std, std)
    np.testing.assert_allclose(told, expected, rtol=0.05)


def test_targets_are_kept_and_the_most_likely_domain_is_one(bundle, found):
    made = load_text(identified(bundle, found, [])[0], "out.yaml", CATALOG)
    np.testing.assert_array_equal(made.targets["soft"].v, bundle.targets["soft"].v)
    np.testing.assert_allclose(made.targets["identified"].v, found.space.values(MEAN[None])[0], rtol=1e-5)


def test_the_most_likely_domain_holds_what_the_spec_sets_to_a_constant():
    # Once it did not, and a replay of what was identified was twice as far off as `identify` had said.
    firm = 'firm: {type: friction_impedance, select: ".*", set: 0.9999}'
    gears = "gears: {type: servo, select: shoulder_lift|elbow_flex, load_friction: [0, 1], dead_band: 0.002}"
    given = load_text(TEXT.replace("links:", f"{firm}\n  {gears}\n  links:"), "arm.yaml", CATALOG)
    base = domain(given.program, **constants(given.program))
    space = space_of(given.program, base)
    z = 0.1 * np.arange(len(space.columns))
    text, _ = identified(given, Posterior(space, z, 0.01 * np.eye(len(z))), [])
    made = load_text(text, "out.yaml", CATALOG)
    np.testing.assert_allclose(made.targets["identified"].v, space.values(z[None])[0], rtol=1e-5)
    assert set(made.targets["identified"].v[made.program.columns("firm")]) == {0.9999}


def test_one_parameter_needs_no_covariance(bundle):
    space = space_of(bundle.program, bundle.program.nominal, ["delay"])
    text, _ = identified(bundle, Posterior(space, np.zeros(1), np.array([[0.01]])), [])
    made = load_text(text, "out.yaml", CATALOG)
    assert not made.spec.correlate and made.program.names[0] == "gains.shoulder_lift"


def test_it_can_be_identified_again(bundle, found, tmp_path):
    again = write(tmp_path / "one.yaml", identified(bundle, found, [])[0], CATALOG)
    space = space_of(again.program, again.program.nominal)
    prior = space.prior
    np.testing.assert_allclose(prior[np.ix_([0, 1, 3], [0, 1, 3])], CORRELATION[np.ix_([0, 1, 3], [0, 1, 3])],
                               atol=1e-5)  # fmt: skip
    # Logs that tell nothing leave the source as it is.
    same = load_text(identified(again, Posterior(space, np.zeros(4), prior), [])[0], "two.yaml", CATALOG)
    q = np.random.default_rng(0).random((200, 5))
    np.testing.assert_allclose(same.program.values(q), again.program.values(q), rtol=1e-3)
    np.testing.assert_allclose(same.program.correlation, again.program.correlation, atol=1e-5)


def test_components_have_operands_of_their_own(bundle):
    centre = "centre: {type: center_of_mass, select: gripper|wrist, x: ±1 cm, z: ±2 cm}"
    wide = load_text(TEXT.replace("links:", f"{centre}\n  links:"), "arm.yaml", CATALOG)
    space = space_of(wide.program, wide.program.nominal, ["centre"])
    text, whole = identified(wide, Posterior(space, np.zeros(4), 0.01 * np.eye(4)), [])
    made = load_text(text, "out.yaml", CATALOG)
    names = [name for name in made.program.names if name.startswith("centre")]
    assert whole == [] and names == [
        "centre_wrist.x", "centre_wrist.z", "centre_gripper.x", "centre_gripper.z",
    ]  # fmt: skip
    stds = [made.program.parameters[made.program.columns(name)[0]].distribution.std for name in names]
    np.testing.assert_allclose(stds, np.array([1, 2, 1, 2]) * 0.02 * 0.1 * 0.3989, rtol=0.02)


def test_a_joint_is_told_from_one_that_belongs_to_a_body_of_its_name(bundle):
    text = TEXT.replace("links:", "dry: {type: friction_loss, select: .*, scale: [0.5, 2]}\n  links:")
    wide = load_text(text, "arm.yaml", CATALOG)
    space = space_of(wide.program, wide.program.nominal, ["dry"])
    text, whole = identified(wide, Posterior(space, np.zeros(6), 0.01 * np.eye(6)), [])
    made = load_text(text, "out.yaml", CATALOG).spec.randomize
    assert (
        whole == []
        and made["dry_gripper"].select == "=gripper"
        and made["dry_wrist_roll"].select == "wrist_roll"
    )


def test_parameters_without_an_operand_of_their_own_keep_their_prior(bundle):
    text = TEXT.replace("links:", "shape: {type: pseudo_inertia, select: gripper, stretch: ±0.1}\n  links:")
    wide = load_text(text, "arm.yaml", CATALOG)
    space = space_of(wide.program, wide.program.nominal, ["shape"])
    text, whole = identified(wide, Posterior(space, np.zeros(3), 0.01 * np.eye(3)), [])
    assert whole == ["shape"] and load_text(text, "out.yaml", CATALOG).program.names == wide.program.names


def test_a_wrong_spec_is_not_written(tmp_path):
    with pytest.raises(SpecError):
        write(tmp_path / "bad.yaml", "env: Nothing-v0\n", CATALOG)
    assert not list(tmp_path.iterdir())


def call(*words):
    result = CliRunner().invoke(app, ["identify", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path, bundle):
    (tmp_path / "arm.yaml").write_text(TEXT)
    made = bundle.program
    v = domain(made, gains=0.03)
    (tmp_path / "logs").mkdir()
    for name, phase in (("fitted", 0.0), ("other", 0.1)):
        log = asked(55)
        write_csv(
            logged(made, v, replace(log, command=log.command * (1 + phase))), tmp_path / f"logs/{name}.csv"
        )
    return tmp_path


def test_the_command_finds_writes_and_tells(folder):
    words = folder / "arm.yaml", folder / "logs", "-o", folder / "found.yaml", "--terms", "gains"
    more = "--hold-out", "other", "--piece", 1, "--candidates", 30
    code, text = call(*words, *more, "--json")
    told = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert code == 0 and set(told["parameters"]) == {"gains.shoulder_lift", "gains.elbow_flex"}
    row = told["parameters"]["gains.elbow_flex"]
    assert row["verdict"] == "determined" and row["prior"] == "log_uniform(0.01, 1)"
    assert row["most_likely"] == pytest.approx(0.03, rel=0.01)
    for what in ("fitted", "held_out"):
        assert told["rmse_deg"][what]["after"] < 0.05 * told["rmse_deg"][what]["before"]
    written = load(folder / "found.yaml", CATALOG)
    assert written.targets["identified"].given["gains_elbow_flex"] == pytest.approx(
        row["most_likely"], rel=1e-5
    )
    assert "RMSE of motions held out (1)" in written.spec.text
    assert sorted(path.name for path in folder.iterdir()) == ["arm.yaml", "found.yaml", "logs"]
    more = *more, "--method", "least-squares", "--candidates", 10, "--posterior", "sampled"
    code, text = call(*words, *more)
    assert code == 0 and "samples, worth" in text and "samples, worth" in (folder / "found.yaml").read_text()
    assert "determined" in text and "± " in text and "sim2real train" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--terms", "gians"], "no term or parameter 'gians' under randomize; did you mean 'gains'?"),
        (["--terms", "noise"], "no term under randomize is left to identify; noise: acts by chance"),
        (["--hold-out", "othr"], "--hold-out: no motion is called 'othr'; did you mean 'other'?"),
        (["--hold-out", "other,fitted"], "--hold-out leaves no motion to fit"),
        (["--method", "least-square"], "--method cannot be 'least-square'; did you mean 'least-squares'?"),
        (["--posterior", "sample"], "--posterior cannot be 'sample'; did you mean 'sampled'?"),
        (["--piece", "9"], "no log has 9 s, the length of a piece; the longest has 1.08 s"),
        (["-o", "found.txt"], "found.txt: a spec is a .yaml"),
        (["-o", "nowhere/found.yaml"], "nowhere/found.yaml: there is no folder nowhere"),
        (["--rename", "a=b"], "cannot rename 'a'"),
    ],
)
def test_mistakes_are_told_in_a_line(folder, words, says):
    given = words if "-o" in words else [*words, "-o", folder / "x.yaml"]
    code, text = call(folder / "arm.yaml", folder / "logs", *given)
    assert code == 1 and says in text and "Traceback" not in text, text


def test_a_set_and_a_spec_without_terms_are_refused(folder):
    (folder / "set.yaml").write_text(f"envs:\n  a: {{env: {NAME}}}\n  b: {{env: {NAME}}}\n")
    assert (
        "identify needs a spec of one"
        in call(folder / "set.yaml", folder / "logs", "-o", folder / "x.yaml")[1]
    )
    (folder / "none.yaml").write_text(f"env: {NAME}\n")
    told = call(folder / "none.yaml", folder / "logs", "-o", folder / "x.yaml")[1]
    assert "no term under randomize is left to identify: none varies" in told
