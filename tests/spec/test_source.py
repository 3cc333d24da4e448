"""Reading YAML: plain data with lines, and nothing unsafe."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim2real.spec
from sim2real.spec.source import SpecError, read
from spec.small import bundle, complaints


def data(text):
    source = read(text, "x.yaml")
    assert not source.problems
    return source.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1e5", 1e5),
        ("-2E+4", -2e4),
        (".5e1", 5.0),
        ("1.0e-3", 1e-3),
        ("200_000", 200_000),
        ("1_0e2", 1000.0),
        ("0x10", 16),
        ("40 ms", "40 ms"),
        ("±10 %", "±10 %"),
        ("1e-3 s", "1e-3 s"),
        ("e5", "e5"),
        ("2024-01-31", "2024-01-31"),
        ("yes", True),
        ("~", None),
        ('"1e5"', "1e5"),
    ],
)
def test_scalars(text, value):
    found = data(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written():
    assert data("on: 1\n2: 3\n1e3: 4\n~: 5\n") == {"on": 1, "2": 3, "1e3": 4, "~": 5}


def test_lines():
    source = read("env: A\n\nrandomize:\n  mass:\n    scale: [1,\n      2]\n", "x.yaml")
    assert source.lines[("env",)] == 1
    assert source.lines[("randomize", "mass")] == 4
    assert source.lines[("randomize", "mass", "scale", 0)] == 5
    assert source.lines[("randomize", "mass", "scale", 1)] == 6
    assert source.locate(("randomize", "mass", "typo", "deeper")) == 4
    assert source.locate(("nothing",)) == 1


def test_anchors_and_merges():
    found = data(
        """
        base: &base {type: mass, scale: [1, 2]}
        same: *base
        own:
          <<: *base
          scale: [3, 4]
        both: {<<: [{type: friction, share: true}, *base], select: foot}
        chain: &chain {<<: *base, select: torso}
        again: *chain
        last: {<<: *chain}
        """
    )
    assert found["same"] == found["base"]
    assert found["own"] == {"type": "mass", "scale": [3, 4]}
    # The first of the list wins, as YAML's merge type says.
    assert found["both"] == {"type": "friction", "share": True, "scale": [1, 2], "select": "foot"}
    assert found["last"] == found["again"] == {"type": "mass", "scale": [1, 2], "select": "torso"}


def test_aliases_are_copies():
    found = data("a: &x {b: 1}\nc: *x\n")
    assert found["a"] is not found["c"]


def test_line_of_a_merged_key_is_where_it_was_written():
    source = read("a: &x\n  b: 1\nc:\n  <<: *x\n  d: 2\n", "x.yaml")
    assert source.lines[("c", "b")] == 2
    assert source.lines[("c", "d")] == 5


@pytest.mark.parametrize("text", ["a: {<<: 3}", "a: {<<: [3]}"])
def test_merge_of_something_else(text):
    (problem,) = read(text, "x.yaml").problems
    assert problem.path == ("a",)
    assert "takes a mapping" in problem.message


def test_each_repeated_key_is_reported():
    source = read("a: 1\nb: {c: 1, c: 2, c: 3}\na: 2\n", "x.yaml")
    assert [(p.path, p.message) for p in source.problems] == [
        (("b", "c"), "'c' is given twice, first in line 2"),
        (("b", "c"), "'c' is given twice, first in line 2"),
        (("a",), "'a' is given twice, first in line 1"),
    ]


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/object:os.system",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple",
        "!!binary",
        "!!set",
        "!!omap",
        "!mine",
    ],
)
@pytest.mark.parametrize("value", ["[echo]", "{a: 1}", "text", "''"])
def test_no_tag_is_obeyed(tag, value, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    source = read(f"env: {tag} {value}", "x.yaml")
    assert "is not allowed" in source.problems[0].message
    assert tag in source.problems[0].message
    assert isinstance(source.data["env"], str | list | dict)


def test_no_tag_is_obeyed_in_a_key():
    (problem,) = read("!!python/name:os.system x: 1", "x.yaml").problems
    assert "not a plain word" in problem.message


@pytest.mark.parametrize(
    "text", ["a: !!int ''", "a: !!float q", "a: !!bool q", f"a: {'9' * 6000}", f"a: 0x{'f' * 6000}"]
)
def test_scalars_that_cannot_be_read(text):
    (problem,) = read(text, "x.yaml").problems
    assert problem.path == ("a",)
    assert "cannot be read as" in problem.message
    assert len(problem.message) < 120


def nine_levels():
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "\n".join(["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", *levels])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a]", "inside themselves"),
        ("a: &a {<<: *a}", "inside themselves"),
        ("[" * 600, "nested too deeply"),
        (nine_levels(), "more than 100000 values"),
    ],
)
def test_documents_that_would_never_end(text, words):
    with pytest.raises(SpecError, match=words):
        read(text, "x.yaml")


@pytest.mark.parametrize(
    ("text", "line"), [("env: a\n\x00", 2), ("env: \ud800", 1), ("env: a\n\nx: [\n", 4), ("a: %", 1)]
)
def test_what_is_not_yaml_has_a_line(text, line):
    with pytest.raises(SpecError) as caught:
        read(text, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml:{line}: not valid YAML: ")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_harmless():
    assert data("\ufeffenv: A") == {"env": "A"}


def test_report_is_in_the_order_of_the_file_and_repeats_nothing():
    lines = complaints("train: {steps: x, seed: x}\nenv: Nope\nother: 1\nrandomize: {t: 1}\n")
    assert [line.split(":")[1] for line in lines] == ["1", "1", "2", "3", "4"]
    assert len(set(lines)) == len(lines)


GOOD = """\
env: Arm
randomize:
  arm_mass: {type: mass, select: upper, scale: [0.6, 1.4]}
  delay: {type: action_latency, set: [0 ms, 40 ms]}
targets:
  heavy: {arm_mass: 1.8}
train: {steps: 1e3, agent: {gamma: 0.9}}
"""
JUNK = [
    *"[]{}:,&*!|>'\"%@`#?-\t\n ~=.",
    "&a ",
    "*a",
    "<<: ",
    "!!python/x ",
    "!!int ",
    ".nan",
    "1e999",
    "0x",
    "±",
]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 8), st.sampled_from(JUNK)), max_size=4))
def test_a_damaged_spec_is_accepted_or_explained(edits):
    text = GOOD
    for start, removed, junk in edits:
        text = text[:start] + junk + text[start + removed :]
    try:
        bundle(text)
    except SpecError as error:
        assert all(line.startswith("arm.yaml:") for line in str(error).splitlines())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_is_accepted_or_explained(text):
    try:
        bundle(text)
    except SpecError as error:
        assert str(error)


def test_the_source_code_can_only_load_safely():
    for file in Path(sim2real.spec.__file__).parent.glob("*.py"):
        code = file.read_text(encoding="utf-8")
        for word in (
            "yaml.load(",
            "unsafe_load",
            "full_load",
            "FullLoader",
            "UnsafeLoader",
            "eval(",
            "exec(",
            "pickle",
        ):
            assert word not in code, f"{word} in {file.name}"
