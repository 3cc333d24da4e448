"""`--set a.b=value` on the command line."""

import pytest

from spec.small import bundle, complaints

SPEC = """\
env: Arm
randomize:
  arm_mass: {type: mass, select: upper, scale: [0.6, 1.4]}
  motors: {type: motor_strength, select: ".*", scale: [0.8, 1.2]}
train:
targets:
  heavy: {arm_mass: 1.8}
"""


@pytest.mark.parametrize(
    ("text", "steps"), [("1e5", 100_000), ("200_000", 200_000), ("7", 7), ("'1e3'", 1000), ("5.0", 5)]
)
def test_whole_numbers(text, steps):
    assert bundle(SPEC, f"train.steps={text}").spec.train.steps == steps


def test_several_and_the_last_one_wins():
    spec = bundle(
        SPEC, "train.steps=5", "evaluate.shots=[0, 3]", "train.steps=6", "train.agent.gamma=0.5"
    ).spec
    assert (spec.train.steps, spec.evaluate.shots, spec.train.agent) == (6, (0, 3), {"gamma": 0.5})


def test_a_term_and_a_target():
    found = bundle(
        SPEC,
        "randomize.arm_mass.scale={log_uniform: [0.5, 1.5]}",
        "randomize.delay={type: action_latency, set: [0 ms, 9 ms]}",
        "targets.weak.motors.m1=0.5",
        "targets.laggy.delay=20 ms",
    )
    assert found.program.parameters[0].distribution.describe() == "log_uniform(0.5, 1.5)"
    assert found.targets["weak"].given == {"motors.m1": 0.5}
    assert found.targets["laggy"].given == {"delay": 0.02}


def test_values_may_hold_an_equals_sign():
    text = "env: Arm\nenv_options: {}"
    assert bundle(text, "env_options.reward=a=b").spec.env_options == {"reward": "a=b"}


def test_nothing_after_the_sign_means_no_value():
    assert bundle(SPEC, "targets=").targets == {}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.steps", "--set: train.steps: is not of the form a.b=value"),
        ("=5", "--set: =5: is not of the form a.b=value"),
        ("train..steps=5", "--set: train..steps=5: is not of the form a.b=value"),
        ("train.steps=-1", "--set: train.steps: must be at least 1, given -1"),
        ("train.steps=many", "--set: train.steps: must be a whole number, given 'many'"),
        ("train.step=5", "--set: train.step: unknown key 'step'; did you mean 'steps'?"),
        ("trian.steps=5", "--set: trian: unknown key 'trian'; did you mean 'train'?"),
        ("env.x=5", "--set: env.x: 'env' is not a mapping, so nothing in it can be set"),
        ("train.steps=[", "--set: train.steps: '[' is not valid YAML: "),
        ("train.steps={a: 1, a: 2}", "--set: train.steps.a: 'a' is given twice, first in line 1"),
        (
            "train.seed=!!python/name:os.system x",
            "--set: train.seed: the tag '!!python/name:os.system' is not allowed",
        ),
        ("randomize.arm_mass.scale=[2, 1]", "--set: randomize.arm_mass.scale: low 2 is above high 1"),
        ("targets.heavy.arm_mass=1.2", "arm.yaml:7: targets.heavy: training can draw it"),
        ("targets.light.arm_mass=1.2", "--set: targets.light: training can draw it"),
    ],
)
def test_mistakes_name_the_command_line_and_not_the_file(assignment, message):
    assert any(line.startswith(message) for line in complaints(SPEC, assignment))


def test_all_mistakes_at_once():
    lines = complaints(SPEC + "trian: 3\n", "train.steps", "train.seed=[", "evaluate.shots=[-1]")
    assert len(lines) == 4
    assert [line.partition(":")[0] for line in lines] == ["--set"] * 3 + ["arm.yaml"]


def test_the_text_that_is_kept_has_the_overrides_in_it():
    changed = bundle(
        SPEC, "train.steps=1e5", "train.agent.gamma=1e-3", "targets.laggy.arm_mass=50 %", "evaluate.shots=[0]"
    ).spec
    again = bundle(changed.text).spec
    assert again == changed
    assert again.train.agent == {"gamma": 1e-3}


def test_without_overrides_the_text_is_the_file_itself():
    text = "# my comment\n" + SPEC
    spec = bundle(text).spec
    assert spec.text == text
    assert bundle(spec.text).spec == spec
