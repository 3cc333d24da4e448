"""What pydantic found wrong, in the words of someone who writes a spec and knows no pydantic."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from randomizers.words import did_you_mean, shown
from sim2real.spec.source import Path, Problem

# kind of pydantic's error → what the value must be, filled from the error's context
_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller number",
    "int_type": "a whole number",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "a text that is not empty",
    "string_type": "a text",
    "too_long": "a list of {max_length} values at most",
    "too_short": "a list of {min_length} or more values",
    "tuple_type": "a list",
}


def plain_problems(
    cls: type[BaseModel], data: Mapping[str, Any], path: Path, error: ValidationError
) -> list[Problem]:
    """Word every mistake that `cls` found in `data`, the section at `path` of the document."""
    problems: list[Problem] = []
    wanted: dict[Path, list[str]] = {}
    given: dict[Path, object] = {}
    for detail in error.errors():
        where = _inside(data, detail["loc"])
        template = _WANTED.get(detail["type"])
        if template is None:
            problems.append(Problem((*path, *where), _sentence(cls, detail)))
            continue
        # A value that may be of several kinds gives one error for each of them.
        limits = {k: f"{v:g}" if isinstance(v, float) else v for k, v in detail.get("ctx", {}).items()}
        wanted.setdefault(where, []).append(template.format(**limits))
        given[where] = _at(data, where)
    above = {where[:depth] for where in wanted for depth in range(len(where))}
    for where, wants in wanted.items():
        if where in above:
            continue  # with a wrong item left out, pydantic finds the list too short as well
        hint = _nearest(wants, given[where])
        message = f"must be {' or '.join(dict.fromkeys(wants))}, given {shown(given[where])}{hint}"
        problems.append(Problem((*path, *where), message))
    return problems


def _inside(data: object, loc: Path) -> Path:
    """Return `loc` up to where it leaves the data: pydantic appends names of alternatives."""
    for depth, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = cast(Mapping[str | int, object], data)[part]
        elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(part, int):
            data = cast(Sequence[object], data)[part]
        else:
            return loc if depth == len(loc) - 1 and isinstance(data, Mapping) else loc[:depth]
    return loc


def _at(data: Any, path: Path) -> object:
    """Return what the user wrote at `path`, before any unit was read."""
    for part in path:
        data = data[part]
    return data


def _sentence(cls: type[BaseModel], detail: ErrorDetails) -> str:
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return f"unknown key '{loc[-1]}'{did_you_mean(str(loc[-1]), _keys(cls, loc[:-1]))}"
    if kind == "missing":
        description = cls.model_fields[str(loc[-1])].description if str(loc[-1]) in cls.model_fields else None
        return f"is missing{': ' + description if description else ''}"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    message = detail["msg"].replace("Input should be", "must be")
    return f"{message[0].lower()}{message[1:]}, given {shown(detail['input'])}"


def _nearest(wants: list[str], given: object) -> str:
    words = re.findall(r"'([^']+)'", " ".join(wants))
    hint = did_you_mean(given, words) if isinstance(given, str) and words else ""
    return hint if hint.startswith("; did") else ""


def _keys(cls: type[BaseModel], loc: Path) -> list[str]:
    """Return the keys that the section at `loc` below `cls` knows."""
    for part in loc:
        annotation = cls.model_fields[str(part)].annotation if str(part) in cls.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        cls = annotation
    return [name for name in cls.model_fields if name != "type"]
