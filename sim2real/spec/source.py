"""YAML text → plain data that remembers its lines. Never unsafe, never evaluated."""

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

import yaml

from randomizers.words import shown

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_AS_WRITTEN = tuple(_TAG + kind for kind in ("str", "timestamp", "value"))
_READ = tuple(_TAG + kind for kind in ("int", "float", "bool", "null"))
_MERGE = _TAG + "merge"
# Far above any spec, far below what aliases of aliases of aliases can unfold to.
_MOST_VALUES = 100_000
# Of the file, and of all texts in it with aliases unfolded: PyYAML reads some 0.3 MB a second.
_MOST_CHARACTERS = 1_000_000
# No spec nests a tenth as deep, and what is far deeper overflows the stack of whoever walks through it.
_MOST_DEPTH = 50
# No number in a spec is larger, and Python will not print one of a few thousand digits.
_MOST_BITS = 1024
# What YAML 1.1 takes for a number and nobody means as one: 1:30 (90, to the base 60) and 010 (8, octal).
_ODD_NUMBER = re.compile(r".*:.*|[-+]?0[0-7_]+")
# A report is to be read: so many characters in all, in one message, and in one name.
_LONGEST_REPORT, _LONGEST_MESSAGE, _LONGEST_NAME = 3000, 500, 120
# part of PyYAML's message → what to say instead
_YAML_WORDS = (
    ("<block end>", "this line is not indented as the ones above it"),
    ("'\\t'", "a tab; indent with spaces"),
    ("another document", "a second document begins here; a spec is only one"),
    ("second occurrence", "this anchor (&) is given a second time"),
    ("mapping values are not allowed", "a ':' is out of place; check the indentation, or quote the text"),
)


@dataclass(frozen=True)
class Problem:
    """One mistake: where in the document, and what is wrong."""

    path: Path
    message: str


@dataclass
class Source:
    """A parsed document.

    Attributes:
        name: The file's name as the user gave it.
        data: Plain dicts, lists and scalars.
        lines: Line of each path, counted from 1.
        problems: Duplicate keys and the like, found while reading.
        overridden: Paths whose value comes from the command line.
    """

    name: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict[Path, int])
    problems: list[Problem] = field(default_factory=list[Problem])
    overridden: set[Path] = field(default_factory=set[Path])

    def locate(self, path: Path) -> int:
        """Return the line of the nearest known ancestor of a path; 0 if the command line set it."""
        if any(path[:k] in self.overridden for k in range(1, len(path) + 1)):
            return 0
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def report(self, problems: list[Problem]) -> str:
        """Format every problem, one a line, in the order of the file; what `--set` gave comes first.

        However much is wrong, and whatever it is called, the report stays short and plain: long words are
        cut, characters that cannot be seen are written out, and past some length the rest is only counted.
        """
        rows = sorted((self.locate(p.path), ".".join(map(str, p.path)), p.message) for p in problems)
        lines: list[str] = []
        left = _LONGEST_REPORT
        file = _visible(self.name)
        for line, path, message in (found := dict.fromkeys(rows)):
            place = f"{file}:{line}: " if line else "--set: "
            name = _cut(_visible(path), _LONGEST_NAME)
            text = _cut(" ".join(_visible(message, " \n\r\t").split()), _LONGEST_MESSAGE)
            lines.append(place + (f"{name}: " if name else "") + text)
            left -= len(lines[-1])
            if left < 0 and len(found) > len(lines):
                lines.append(f"{file}: and {len(found) - len(lines)} more mistakes")
                break
        return "\n".join(lines)


def _visible(text: str, plain: str = " ") -> str:
    """Write out what a terminal would obey or hide: control characters, marks of direction, surrogates."""
    return "".join(c if c.isprintable() or c in plain else repr(c)[1:-1] for c in text)


def _cut(text: str, most: int) -> str:
    """Take the middle out of a long text: it begins with what was given, and ends with what is wanted."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


class SpecError(Exception):
    """A spec that cannot be used; its text lists every problem as `file:line: path: message`."""

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source, self.problems = source, problems
        super().__init__(source.report(problems))


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, for which `1e-3` is a number (YAML 1.2), not a text."""


# PyYAML's stubs leave these two untyped.
_add_resolver = cast(Callable[[str, re.Pattern[str], list[str]], None], _Loader.add_implicit_resolver)  # pyright: ignore[reportUnknownMemberType]
_add_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_file(path: str | FilePath) -> str:
    """Return the text of a spec file; never waits for one, and never reads more than a spec can be.

    Raises:
        SpecError: If it cannot be read.
    """
    try:
        found = FilePath(path)
        if not (stat.S_ISREG(found.stat().st_mode) or found.is_dir()):
            raise ValueError("it is not a regular file")  # opening a pipe would wait for who writes to it
        with found.open(encoding="utf-8") as file:
            text = file.read(_MOST_CHARACTERS + 1)
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"it is longer than {_MOST_CHARACTERS} characters")
        return text
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
        if isinstance(error, OSError):
            reason = error.strerror or reason
        raise SpecError(Source(str(path), {}), [Problem((), f"cannot be read: {reason}")]) from None


def read(text: str, name: str) -> Source:
    """Parse YAML text.

    Args:
        text: The document.
        name: What to call it in messages.

    Raises:
        SpecError: If it is not YAML, or not one mapping.
    """
    source = Source(name, {})
    try:
        source.data = _parse(text, source, ())
    except _NotYamlError as error:
        source.lines[()] = error.line
        raise SpecError(source, [Problem((), str(error))]) from None
    if source.data is None:
        raise SpecError(source, [Problem((), "the file is empty; a spec needs at least `env:`")])
    if not isinstance(source.data, dict):
        what = "a list" if isinstance(source.data, list) else f"only {shown(source.data)}"
        raise SpecError(source, [Problem((), f"a spec is a mapping with the key `env:`, given {what}")])
    return source


def override(source: Source, assignment: str) -> None:
    """Apply one `a.b=value` from the command line, in place; a mistake is added to `source.problems`."""
    key, equals, text = assignment.partition("=")
    path = _override_path(key)
    if not equals or not all(path) or len(path) > _MOST_DEPTH:
        source.overridden.add((assignment,))
        source.problems.append(Problem((assignment,), "is not of the form a.b=value"))
        return
    fragment = Source("--set", None)
    try:
        value = _parse(text, fragment, path)
    except _NotYamlError as error:
        source.overridden.add(path)
        source.problems.append(Problem(path, f"'{text}' is {error}"))
        return
    source.problems += fragment.problems
    node = cast(dict[str, Any], source.data)
    for depth, parent in enumerate(path[:-1], start=1):
        if node.get(parent) is None:
            node[parent] = {}
            source.overridden.add(path[:depth])
        if not isinstance(node[parent], dict):
            source.overridden.add(path)
            source.problems.append(Problem(path, f"'{parent}' is not a mapping, so nothing in it can be set"))
            return
        node = cast(dict[str, Any], node[parent])
    source.overridden.add(path)
    node[path[-1]] = value


def _override_path(key: str) -> tuple[str, ...]:
    parts = key.strip().split(".")
    # What a target sets may have a dot in its name: targets.weak.motor_strength.thigh_joint
    return (*parts[:2], ".".join(parts[2:])) if parts[0] == "targets" and len(parts) > 2 else tuple(parts)


class _NotYamlError(Exception):
    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        super().__init__(message)


def _parse(text: str, source: Source, path: Path) -> Any:
    """Return the one document in `text` as plain data, or None if there is none."""
    if len(text) > _MOST_CHARACTERS:
        raise _NotYamlError(f"not usable: it is longer than {_MOST_CHARACTERS} characters")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Builder(loader, source).build(node, path)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _NotYamlError(f"not valid YAML: {_plainly(error)}", mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise _NotYamlError(f"not valid YAML: the character U+{code:04X} is not allowed", line) from None
    except RecursionError:
        raise _NotYamlError("not usable: its values are nested too deeply, or inside themselves") from None


def _plainly(error: yaml.MarkedYAMLError) -> str:
    """Say what PyYAML found, without the names of its tokens."""
    message = error.problem or error.context or "it cannot be read"
    for sign, words in _YAML_WORDS:
        if sign in message:
            return words
    return message


class _Builder:
    """Builds plain data from YAML nodes: no tag is obeyed, and every path's line is kept."""

    def __init__(self, loader: _Loader, source: Source) -> None:
        self.loader, self.source = loader, source
        self.count = self.characters = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        """Return the plain data of a node, and note its lines and problems."""
        self.count += 1
        if self.count > _MOST_VALUES:
            raise _NotYamlError(f"not usable: it holds more than {_MOST_VALUES} values")
        if len(path) > _MOST_DEPTH:
            raise RecursionError
        self.source.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            self._refuse_tag(node, "map", path)
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._refuse_tag(node, "seq", path)
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(cast(yaml.ScalarNode, node), path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for base in self._bases(node, path):
            result |= self._mapping(base, path)
        own: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in (*_AS_WRITTEN, *_READ):
                self.source.problems.append(Problem(path, f"the key in line {line} is not a plain word"))
                continue
            # As written: YAML would make the keys `on` and `1` a truth value and a number.
            key = self._text(key_node)
            here = (*path, key)
            if key in own:
                message = f"'{key}' is given twice, first in line {own[key]}"
                self.source.problems.append(Problem(here, message))
            own[key] = self.source.lines[here] = line
            result[key] = self.build(value_node, here)
        return result

    def _bases(self, node: yaml.MappingNode, path: Path) -> Iterator[yaml.MappingNode]:
        """Yield the mappings that `<<:` names; the later one wins, so the first named comes last."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            bases = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for base in reversed(bases):
                if isinstance(base, yaml.MappingNode):
                    yield base
                else:
                    self.source.problems.append(Problem(path, "`<<:` takes a mapping, or a list of them"))

    def _text(self, node: yaml.ScalarNode) -> str:
        """Return a scalar as written; aliases may repeat it often, and writing the data unfolds them."""
        self.characters += len(node.value)
        if self.characters > _MOST_CHARACTERS:
            raise _NotYamlError(f"not usable: it holds more than {_MOST_CHARACTERS} characters")
        return node.value

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = self._text(node)
        if node.tag not in _READ:
            if node.tag not in _AS_WRITTEN:
                self._refuse_tag(node, "str", path)
            return text
        if not node.style and _ODD_NUMBER.fullmatch(text):
            return text
        try:
            construct = cast(Callable[[yaml.Node], Any], self.loader.construct_object)  # pyright: ignore[reportUnknownMemberType]
            value = construct(node)
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                raise ValueError("too large")
            return value
        except (ValueError, LookupError):
            kind = node.tag.removeprefix(_TAG)
            self.source.problems.append(Problem(path, f"{shown(node.value)} cannot be read as !!{kind}"))
            return node.value

    def _refuse_tag(self, node: yaml.Node, expected: str, path: Path) -> None:
        if node.tag != _TAG + expected:
            tag = node.tag.replace(_TAG, "!!")
            message = f"the tag '{tag}' is not allowed; a spec holds plain data only"
            self.source.problems.append(Problem(path, message))
