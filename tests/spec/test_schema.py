"""The committed JSON Schema is the models' own, takes our specs, and refuses what an editor can see."""

import json
from pathlib import Path

import jsonschema
import pytest

from randomizers.registry import BUILTIN
from sim2real.spec.schema import json_schema, main, text
from sim2real.spec.source import read

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "assets" / "spec.schema.json"
BAD = ROOT / "tests" / "golden" / "bad"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def errors(document):
    return list(VALIDATOR.iter_errors(read(document, "x.yaml").data))


def test_the_committed_file_is_up_to_date():
    assert COMMITTED.read_text(encoding="utf-8") == text(), (
        "run: python -m sim2real.spec.schema assets/spec.schema.json"
    )


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_module_writes_it(tmp_path):
    path = tmp_path / "schema.json"
    main(str(path))
    assert json.loads(path.read_text(encoding="utf-8")) == json_schema()


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "specs").rglob("*.yaml")), ids=lambda p: p.stem)
def test_our_specs_are_accepted(path):
    assert errors(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "specs").rglob("*.yaml")), ids=lambda p: p.stem)
def test_our_specs_tell_the_editor_where_it_is(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == COMMITTED


@pytest.fixture(scope="module")
def schema():
    return json_schema()


@pytest.mark.parametrize("name", BUILTIN)
def test_every_randomizer_is_described(name, schema):
    definition = schema["$defs"][name]
    assert definition["properties"]["type"]["const"] == name
    assert definition["description"]
    assert all(body.get("description") for key, body in definition["properties"].items() if key != "camera")


@pytest.mark.parametrize(
    "document",
    [
        "env: A",
        "env: A\nrandomize:\ntargets:\ntrain:\nevaluate:\n",
        "env: A\ntrain: {steps: 1e5, seed: '7', agent: {any: [1]}}",
        "env: A\nevaluate: {shots: [0, 1e1], updates_per_step: 0.5}",
        "env: A\nrandomize: {m: {type: mass, select: a, scale: ±10 %}}",
        "env: A\nrandomize: {m: {type: mass, select: a, share: true, scale: {beta: [2, 2, 0, 1]}}}",
        "env: A\nrandomize: {d: {type: action_latency, set: {choice: [1 ms, 2 ms, 3 ms]}}}",
        "env: A\nrandomize: {n: {type: action_noise, set: 0.1, channels: [0, '2:5'], when: {walk: 2 s}}}",
        "env: A\nrandomize: {n: {type: action_noise, set: 0.1, channels: '2:5', when: run}}",
        "env: A\nrandomize: {c: {type: center_of_mass, select: a, x: ±2 cm, y: [0, 1 cm], z: 0}}",
        "env: A\nrandomize: {l: {type: visuals, colors: 40 %, camera: {angle: 3 deg}}}",
        "env: A\nrandomize: {x: {type: 'their.package:Wind', anything: 1}}",
        "env: A\ntargets: {t: {m: 1, k.elbow: 3 deg, inside: true}}",
        "envs: {a: {env: A}, b: {env: B, options: {x: 1}, task: t, robot: r, held_out: true}}",
    ],
)
def test_what_is_right_is_accepted(document):
    assert errors(document) == []


@pytest.mark.parametrize(
    "name",
    [
        "env_missing",
        "env_not_a_name",
        "env_options_not_a_mapping",
        "envs_beside_env",
        "envs_empty",
        "envs_member_wrong",
        "key_unknown",
        "term_type_unknown",
        "term_type_missing",
        "term_type_not_a_name",
        "term_key_unknown",
        "term_not_a_mapping",
        "term_name_with_dot",
        "select_missing",
        "select_not_a_text",
        "operation_twice",
        "operation_missing",
        "operation_empty",
        "range_of_three",
        "distribution_unknown",
        "distribution_two",
        "visuals_out_of_range",
        "visuals_camera",
        "section_not_a_mapping",
        "target_not_a_mapping",
        "target_not_a_number",
        "target_inside_flag",
        "target_name",
        "train_steps_negative",
        "train_steps_text",
        "train_steps_true",
        "train_key_unknown",
        "train_key_of_agent",
        "train_too_large",
        "evaluate_shots_empty",
        "evaluate_shots_negative",
        "evaluate_shots_number",
        "evaluate_finetune",
    ],
)
def test_what_an_editor_can_see_is_refused(name):
    assert errors((BAD / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "body",
    [
        "type: center_of_mass, select: a, x: [0, 1, 2]",
        "type: center_of_mass, select: a, x:",
        "type: pseudo_inertia, select: a, alpha: {uniformly: [0, 1]}",
        "type: wind, x: true",
        "type: mass, select: a, scale: 2, when: now",
        "type: mass, select: a, scale: 2, when: {now: 1}",
        "type: action_noise, set: 1, channels: [0.5]",
    ],
)
def test_what_terms_share_is_checked_in_each(body):
    assert errors(f"env: A\nrandomize: {{m: {{{body}}}}}")


def test_what_terms_share_is_written_once():
    """Operands stood in full in each of some eighty terms: a file of 12,000 lines."""
    assert [text().count(f'"{word}": {{') for word in ("log_uniform", "walk")] == [1, 1]


def test_an_error_points_at_the_line_and_not_at_ten_alternatives():
    (error,) = errors("env: A\nrandomize: {m: {type: mass, select: a, scale: 2, shar: true}}")
    assert list(error.absolute_path) == ["randomize", "m"]
    assert "'shar'" in error.message
