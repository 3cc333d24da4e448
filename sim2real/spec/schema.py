"""The JSON Schema of spec files, for editors; made from the models, so that it cannot say otherwise.

`python -m sim2real.spec.schema assets/spec.schema.json` writes it. It knows the built-in randomizers. What
needs the model (names, overlaps, held-out targets) or a learner (`train.agent`, `train.curriculum`)
is left to the loader.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from randomizers import Distortion, OperationTerm, Term
from randomizers.registry import BUILTIN
from sim2real.spec.correlation import Correlate
from sim2real.spec.model import Evaluate, External, Member, Spec, Train
from sim2real.spec.validate import NAME, RESERVED

_OPERATIONS = ("scale", "add", "set")
_OPTIONAL = ["object", "null"]
_NUMERIC = {"type": "string", "pattern": r"^\s*[+-]?\.?\d"}


class _Generate(GenerateJsonSchema):
    """Adds that a number read by our own validators may also be a text, such as `2 cm` or `1e5`."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Return the schema of a value that is validated by one of our own readers first."""
        inner = super().function_before_schema(schema)
        return {"anyOf": [inner, _NUMERIC]} if inner.get("type") in ("integer", "number") else inner


def json_schema() -> dict[str, Any]:
    """Return the schema of a spec file (JSON Schema draft 2020-12)."""
    definitions = {name: _term(name, cls) for name, cls in BUILTIN.items()}
    env, options = (Spec.model_fields[key].description for key in ("env", "env_options"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sim2real spec",
        "type": "object",
        "properties": {
            "env": {"type": "string", "minLength": 1, "description": env},
            "env_options": {"type": _OPTIONAL, "description": options},
            "envs": _envs(),
            "randomize": {
                "type": _OPTIONAL,
                "description": "what varies between worlds: terms by name",
                "propertyNames": _name_except("randomize"),
                "additionalProperties": {"$ref": "#/$defs/term"},
            },
            "correlate": _correlate(),
            "targets": _targets(),
            "train": _section(Train) | {"type": _OPTIONAL},
            "evaluate": _section(Evaluate) | {"type": _OPTIONAL},
        },
        "oneOf": [{"required": ["env"]}, {"required": ["envs"]}],
        "additionalProperties": False,
        "$defs": {
            "term": _any_term(definitions),
            "operand": _operand(),
            "when": _when(),
            "channels": _channels(),
            **definitions,
        },
    }


def _section(cls: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema, with its own definitions written out where they are used."""
    schema = cls.model_json_schema(schema_generator=_Generate)
    return _inlined(schema, schema.pop("$defs", {})) | {"description": _doc(cls)}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    items = cast(dict[str, Any], node)
    rest = {key: _inlined(value, definitions) for key, value in items.items() if key not in ("$ref", "title")}
    if "$ref" not in items:
        return rest
    target = definitions[str(items["$ref"]).rpartition("/")[2]]
    return _inlined(target, definitions) | rest


def _doc(cls: type[BaseModel]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _term(name: str, cls: type[Term]) -> dict[str, Any]:
    schema = _section(cls)
    schema["properties"]["type"] = {"const": name, "description": _doc(cls)}
    for key, body in schema["properties"].items():
        if shared := _shared_by(cls, key, body):
            reference = {"$ref": f"#/$defs/{shared}", "description": body["description"]}
            schema["properties"][key] = reference
    if issubclass(cls, OperationTerm):
        schema["oneOf"] = [{"required": [key]} for key in _OPERATIONS]
    return schema


def _shared_by(cls: type[Term], key: str, body: dict[str, Any]) -> str | None:
    """Return the name under `$defs` of what many terms take, if a property is such."""
    kinds = body.get("anyOf", [])
    if _operand() in kinds or kinds == _operand()["anyOf"]:
        return "operand"
    return key if key == "when" or (key == "channels" and issubclass(cls, Distortion)) else None


@cache
def _operand() -> dict[str, Any]:
    """Return what may stand behind an operation; null, which stands for one not chosen, may not."""
    kinds = _section(OperationTerm)["properties"]["scale"]["anyOf"]
    return next(kind for kind in kinds if kind != {"type": "null"})


def _when() -> dict[str, Any]:
    body = _section(Term)["properties"]["when"]
    return {key: value for key, value in body.items() if key != "default"}


def _channels() -> dict[str, Any]:
    """Return what `channels` may be, which is read from more than the numbers it becomes."""
    item = {"type": ["integer", "string"]}
    listed = {"type": "array", "items": item, "minItems": 1}
    return {"anyOf": [item, listed, {"type": "null"}]}


def _any_term(definitions: dict[str, Any]) -> dict[str, Any]:
    """Choose the definition by `type`, so that an editor complains about the right one."""
    described = [{"const": name, "description": d["description"]} for name, d in definitions.items()]
    other = {"pattern": ":", "description": "package.module:Class of another package"}
    return {
        "type": "object",
        "properties": {"type": {"type": "string", "anyOf": [*described, other]}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in definitions
        ],
    }


def _correlate() -> dict[str, Any]:
    return {
        "type": _OPTIONAL,
        "description": "groups of parameters that are drawn together, by name",
        "propertyNames": _name_except("correlate"),
        "additionalProperties": _section(Correlate),
    }


def _envs() -> dict[str, Any]:
    return {
        "type": "object",
        "description": Spec.model_fields["envs"].description,
        "propertyNames": _name_except("envs"),
        "minProperties": 1,
        "additionalProperties": _section(Member),
    }


def _targets() -> dict[str, Any]:
    inside = {"type": "boolean", "description": "true if training may draw it as well"}
    return {
        "type": _OPTIONAL,
        "description": "held-out domains by name: each sets terms, or one parameter as term.parameter; "
        "or environments of their own, such as robots",
        "propertyNames": _name_except("targets"),
        "additionalProperties": {
            "type": "object",
            "if": {"properties": {"env": {"not": _NUMERIC, "type": "string"}}, "required": ["env"]},
            "then": _section(External),
            "else": {
                "properties": {"inside": inside},
                "additionalProperties": {
                    "anyOf": [{"type": "number"}, _NUMERIC],
                    "description": "a number, or a quantity such as 40 ms",
                },
            },
        },
    }


def _name_except(section: str) -> dict[str, Any]:
    return {"pattern": f"^{NAME}$", "not": {"enum": list(RESERVED[section])}}


def text() -> str:
    """Return the schema as the text of the committed file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def main(path: str = "assets/spec.schema.json") -> None:
    """Write the schema to a file, by default the committed one seen from the repository root."""
    Path(path).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
