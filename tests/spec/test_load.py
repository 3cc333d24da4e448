"""A spec file becomes a Spec, a Program and Domains; whatever is wrong is said at once."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from randomizers import Choice, Constant, LogUniform, Uniform
from sim2real.envs.registry import nominal_model
from sim2real.spec import Bundle, Catalog, SpecError, load, load_text
from spec.small import CATALOG, bundle, complaints, make

SPECS = Path(__file__).parents[2] / "assets" / "specs"


@pytest.fixture(scope="module")
def design() -> Bundle:
    return load(SPECS / "hopper.yaml", Catalog(nominal_model))


def test_design_example_parameters(design):
    names = [name for name in design.program.names if not name.startswith("looks.")]
    assert names == [
        "torso_mass",
        "foot_friction",
        "motor_strength.thigh_joint",
        "motor_strength.leg_joint",
        "motor_strength.foot_joint",
        "control_delay",
    ]
    found = {name: design.program.parameters[design.program.columns(name)[0]] for name in names}
    assert found["torso_mass"].distribution == Uniform(0.6, 1.4)
    assert found["foot_friction"].distribution == LogUniform(0.5, 1.6)
    assert found["motor_strength.leg_joint"].distribution == Uniform(0.8, 1.2)
    assert found["control_delay"].distribution == Uniform(0.0, 0.04)
    assert [found[name].nominal for name in names] == [1, 1, 1, 1, 1, 0]
    assert [found[name].unit for name in names] == ["", "", "", "", "", "s"]


def test_design_example_looks(design):
    looks = [name for name in design.program.names if name.startswith("looks.")]
    camera = [name for name in looks if name.startswith("looks.camera.0.")]
    assert len(camera) == 6
    reach = {name: design.program.parameters[design.program.columns(name)[0]].distribution for name in looks}
    assert reach["looks.camera.0.x"] == Uniform(-0.02, 0.02)
    assert reach["looks.camera.0.turn_z"].support[1] == pytest.approx(0.05235987755982988, rel=1e-15)
    assert {reach[name] for name in looks if name.startswith("looks.colors.")} == {Uniform(-0.4, 0.4)}
    assert {reach[name] for name in looks if name.startswith("looks.lights.")} == {Uniform(-0.3, 0.3)}


def test_design_example_targets(design):
    assert {name: found.given for name, found in design.targets.items()} == {
        "heavy": {"torso_mass": 1.8},
        "ice": {"foot_friction": 0.3},
        "laggy": {"control_delay": 0.06},
        "all_at_once": {"torso_mass": 1.6, "foot_friction": 0.4, "control_delay": 0.05},
    }
    assert all(found.held_out for found in design.targets.values())
    distance = {name: found.distance for name, found in design.targets.items()}
    assert distance["heavy"] == pytest.approx((1.8 - 1.4) / 0.8)
    assert distance["ice"] == pytest.approx((0.5 - 0.3) / 1.1)
    assert distance["laggy"] == pytest.approx(0.5)
    assert distance["all_at_once"] == pytest.approx(0.25)


def test_design_example_sections(design):
    spec = design.spec
    assert (spec.env, spec.train.algorithm, spec.train.steps, spec.train.num_envs) == (
        "Hopper-v5",
        "fast_sac",
        500_000,
        128,
    )
    assert (spec.evaluate.episodes, spec.evaluate.shots) == (20, (0, 1, 5, 20))


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_spec_of_ours_loads(path):
    from sim2real.session import CATALOG

    catalog = Catalog(nominal_model, CATALOG.agents, None, CATALOG.curricula, CATALOG.checks)
    found = load(path, catalog)
    assert load_text(found.spec.text, str(path), catalog).spec == found.spec


def test_defaults():
    found = bundle("env: Arm")
    assert found.program.d == 0
    assert found.targets == {}
    assert found.spec.train.seed == 0
    assert found.spec.evaluate.shots == (0, 1, 5)


@pytest.mark.parametrize(
    "text",
    ["env: Arm\nrandomize:\ntargets:\ntrain:\nevaluate:\nenv_options:\n", "env: Arm\ntrain: {agent: }"],
)
def test_empty_sections_are_as_if_absent(text):
    assert bundle(text).spec.model_dump(exclude={"text"}) == bundle("env: Arm").spec.model_dump(
        exclude={"text"}
    )


@pytest.mark.parametrize(
    ("operand", "distribution"),
    [
        ("set: [0 ms, 40 ms]", Uniform(0, 0.04)),
        ("set: [0, 0.04]", Uniform(0, 0.04)),
        ("set: [0 us, 4e4 us]", Uniform(0, 0.04)),
        ("set: 1e-3", Constant(0.001)),
        ("set: '1e-3'", Constant(0.001)),
        ("add: 20ms", Constant(0.02)),
        ("set: {choice: [40 ms, 0, 10 ms]}", Choice((0, 0.01, 0.04))),
        ("set: {log_uniform: {high: 40 ms, low: 1 ms}}", LogUniform(0.001, 0.04)),
        ("set: {constant: 5 ms}", Constant(0.005)),
    ],
)
def test_operands_of_a_latency(operand, distribution):
    found = bundle(f"env: Arm\nrandomize: {{delay: {{type: action_latency, {operand}}}}}")
    (parameter,) = found.program.parameters
    assert parameter.distribution == distribution


@pytest.mark.parametrize(
    ("operand", "low", "high"),
    [
        ("scale: ±10 %", 0.9, 1.1),
        ("scale: +/- 10%", 0.9, 1.1),
        ("scale: ±0.1", 0.9, 1.1),
        ("scale: [90 %, 110 %]", 0.9, 1.1),
        ("add: ±500 g", -0.5, 0.5),
        ("add: [-500 g, 1 kg]", -0.5, 1.0),
        ("set: [1500 g, 3]", 1.5, 3.0),
    ],
)
def test_operands_of_a_mass(operand, low, high):
    found = bundle(f"env: Arm\nrandomize: {{m: {{type: mass, select: upper, {operand}}}}}")
    assert found.program.parameters[0].distribution.support == pytest.approx((low, high), rel=1e-15)


def test_a_base_for_several_terms():
    found = bundle(
        """
        env: Arm
        randomize:
          upper: &base {type: mass, select: upper, scale: [0.6, 1.4]}
          lower: {<<: *base, select: lower}
        """
    )
    assert found.program.names == ("upper", "lower")
    assert {p.distribution for p in found.program.parameters} == {Uniform(0.6, 1.4)}


def test_a_spec_is_frozen():
    spec = bundle("env: Arm\ntrain: {steps: 5}\nrandomize: {m: {type: mass, select: upper, scale: 2}}").spec
    for owner, name in (
        (spec, "env"),
        (spec.train, "steps"),
        (spec.evaluate, "shots"),
        (spec.randomize["m"], "scale"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(owner, name, None)


def test_settings_are_unchecked_without_agents():
    catalog = Catalog(make)
    spec = bundle("env: Arm\ntrain: {algorithm: theirs, agent: {any: thing}}", catalog=catalog).spec
    assert (spec.train.algorithm, spec.train.agent) == ("theirs", {"any": "thing"})


def test_settings_of_the_chosen_agent():
    assert bundle("env: Arm\ntrain: {algorithm: ppo, agent: {gamma: 0.5, width: 1e2}}").spec.train.agent == {
        "gamma": 0.5,
        "width": 100.0,
    }


def test_options_reach_the_environment():
    seen = {}

    def model(name, options):
        seen.update(options)
        return make(name, {})

    bundle("env: Arm\nenv_options: {healthy_range: [-.inf, 2], deep: {x: 1}}", catalog=Catalog(model))
    assert seen == {"healthy_range": [-float("inf"), 2], "deep": {"x": 1}}


def test_a_wrong_option_hides_nothing_else():
    lines = complaints(
        "env: Arm\nenv_options: {typo: 1}\n"
        "randomize: {m: {type: mass, select: uper, scale: 2}}\ntargets: {t: {n: 1}}"
    )
    assert lines == [
        "arm.yaml:2: env_options: the option is unknown",
        "arm.yaml:3: randomize.m: 'uper' matches no body; did you mean 'upper'? (there are: upper, lower)",
        "arm.yaml:4: targets.t.n: no term or parameter 'n' under randomize",
    ]


def test_options_of_an_unknown_environment():
    assert complaints("env: Nope\nenv_options: {typo: 1}") == ["arm.yaml:1: env: unknown environment 'Nope'"]


def test_a_refused_term_hides_no_mistake_in_targets_and_repeats_nothing():
    lines = complaints(
        """env: Arm
randomize:
  wrong: {type: mass, select: nothing, scale: 2}
  shape: {type: mass, select: upper, scales: 2}
  right: {type: friction, select: floor, scale: [0.5, 2]}
targets:
  ok: {wrong: 3, shape: 3}
  mixed: {wrong: 3, right: -1}
  inside: {right: 1.1}
"""
    )
    assert [line.split(": ")[1] for line in lines] == [
        "randomize.wrong",
        "randomize.shape.scales",
        "targets.mixed.right",
        "targets.inside",
    ]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00env"])
def test_files_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=r"x\.yaml:1: cannot be read: (No such file|it is not UTF-8)"):
        load(path, CATALOG)


def test_a_folder_is_no_spec(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        load(tmp_path, CATALOG)


def test_load_and_load_text_agree(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("env: Arm\n", encoding="utf-8")
    assert load(path, CATALOG).spec == load_text("env: Arm\n", str(path), CATALOG).spec
    assert load(str(path), CATALOG, ("train.seed=3",)).spec.train.seed == 3


def test_problems_are_data_too():
    with pytest.raises(SpecError) as caught:
        bundle("env: Arm\ntrain: {steps: 0}")
    (problem,) = caught.value.problems
    assert problem.path == ("train", "steps")
    assert caught.value.source.locate(problem.path) == 2
