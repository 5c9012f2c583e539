"""A YAML file as plain values, with the line and column of each.

The file is read from PyYAML's stream of events, so nothing in it is ever expanded or constructed:
tags, anchors, aliases and merge keys are refused by name, and a hostile file meets a bound.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import yaml

from charseq.config.scalars import read_scalar
from charseq.config.syntax import in_plain_words

# The place of a value in the tree: ("train", "learning_rate"), ("data", "split", 2).
KeyPath = tuple[str | int, ...]

# A configuration needs three levels and some fifty values. Deeper or longer ones are refused early.
MAX_DEPTH = 8
MAX_EVENTS = 1000

# Stands where the value could not be read; its mistake has already been noted.
BROKEN = object()


class Place(NamedTuple):
    """Where something was said: ``run.yaml:3:5``, or ``--set key=value`` as a whole (line 0)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """One mistake; ``key`` is empty when the mistake belongs to no setting."""

    place: Place
    key: str
    why: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.key, self.why) if part)


@dataclass
class Document:
    """Plain values, where each stands, and the mistakes found while reading."""

    start: Place
    values: Any = BROKEN
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    # A section has no value to point at: its place is that of its key.
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place_of(self, path: KeyPath) -> Place:
        """The place of a value; of what it stands in, if the file does not name it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.start)


def dotted(path: KeyPath) -> str:
    """``train.learning_rate``; an item of a list is named by its list."""
    return ".".join(printable(name) for name in path if isinstance(name, str))


def printable(text: str, limit: int = 60) -> str:
    """``text`` on one line of a terminal: shortened, without control characters."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return shown if shown.isprintable() else repr(shown)[1:-1]


def read_yaml(text: str, start: Place, at: KeyPath = ()) -> Document:
    """Read one YAML document whose first character stands at ``start``, for the key ``at``.

    When ``start`` has no line (a ``--set``), nothing in the document has one. Mistakes are returned
    in ``problems``; ``values`` is ``BROKEN`` when the text is not YAML at all.
    """
    document = Document(start)
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position].split("\n")
        place = Place(start.source, len(before), len(before[-1]) + 1) if start.line else start
        why = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        document.problems.append(Problem(place, "", why))
        return document
    try:
        _Reader(document, loader).read(at)
    except yaml.MarkedYAMLError as error:
        mark, why = in_plain_words(error)
        document.problems.append(Problem(_place(document, mark), "", why))
        document.values = BROKEN
    except (ValueError, OverflowError):  # PyYAML hands "\\UFFFFFFFF" to chr() unchecked
        place = _place(document, loader.get_mark())
        document.problems.append(Problem(place, "", "this escape or number is out of range"))
        document.values = BROKEN
    return document


def _place(document: Document, mark: yaml.Mark | None) -> Place:
    start = document.start
    if mark is None or not start.line:
        return start
    return start._replace(line=mark.line + 1, column=mark.column + 1)


def _mark(event: yaml.Event) -> yaml.Mark:
    return cast("yaml.Mark", event.start_mark)  # optional by its type, but always set here


class _Reader:
    """Walks the events of one text and fills a document."""

    def __init__(self, document: Document, loader: yaml.SafeLoader) -> None:
        self._document = document
        self._loader = loader
        self._count = 0
        self._depth = 0

    def read(self, at: KeyPath) -> None:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            self._document.values = None
            return
        self._document.values = self._value(self._next(), at)
        self._next()  # the document ends
        more = self._next()
        if not isinstance(more, yaml.StreamEndEvent):
            self._note(more, (), "a second document begins here; keep one, and one '---' at most")

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        self._count += 1
        self._depth += isinstance(event, yaml.CollectionStartEvent)
        self._depth -= isinstance(event, yaml.CollectionEndEvent)
        why = None
        if self._count > MAX_EVENTS:
            why = "far too many values; this is not a charseq configuration"
        if self._depth > MAX_DEPTH:
            why = f"nested more than {MAX_DEPTH} levels deep; settings need two"
        if why:
            raise yaml.MarkedYAMLError(problem=why, problem_mark=_mark(event))
        return event

    def _note(self, event: yaml.Event, path: KeyPath, why: str) -> None:
        place = _place(self._document, _mark(event))
        self._document.problems.append(Problem(place, dotted(path), why))

    def _value(self, event: yaml.Event, path: KeyPath) -> Any:
        is_section = isinstance(event, yaml.MappingStartEvent) and path in self._document.keys
        self._document.places[path] = (
            self._document.keys[path] if is_section else _place(self._document, _mark(event))
        )
        refused = self._refuse_indirection(event, path)
        value: Any = BROKEN
        match event:
            case yaml.MappingStartEvent():
                value = self._mapping(path)
            case yaml.SequenceStartEvent():
                value = self._sequence(path)
            case yaml.ScalarEvent():
                # implicit[0] is true for text without quotes.
                value = read_scalar(event.value) if event.implicit[0] else self._text(event, path)
        return BROKEN if refused else value

    def _text(self, event: yaml.ScalarEvent, path: KeyPath) -> object:
        """Text in quotes. JSON escapes a character above U+FFFF as a pair of surrogates, and PyYAML
        reads it as two; half of a pair is no character.
        """
        try:
            return event.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            half = error.object[error.start : error.start + 2]
            code = int.from_bytes(half, "little")
            why = f"\\u{code:04x} is half of a surrogate pair; write the character itself"
            self._note(event, path, why)
            return BROKEN

    def _refuse_indirection(self, event: yaml.Event, path: KeyPath) -> bool:
        """Note a tag, an anchor or an alias: a configuration says what it means, in place."""
        if isinstance(event, yaml.AliasEvent):
            self._note(
                event, path, f"the alias *{printable(str(event.anchor))} is refused; {_WRITE_OUT}"
            )
            return True
        if not isinstance(event, yaml.NodeEvent):
            return False
        tag = getattr(event, "tag", None)
        if tag is not None:
            short = printable(tag.replace("tag:yaml.org,2002:", "!!"))
            self._note(event, path, f"the tag {short} is refused; write the plain value without it")
        if event.anchor is not None:
            self._note(
                event, path, f"the anchor &{printable(event.anchor)} is refused; {_WRITE_OUT}"
            )
        return tag is not None or event.anchor is not None

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = path if key is None else (*path, key)
            if key is None:
                self._skip(self._next())
            elif here in self._document.keys:
                first = self._document.keys[here]
                on = f"; the first is on line {first.line}" if first.line else ""
                self._note(event, here, f"is given twice{on}; remove one")
                self._skip(self._next())
            else:
                self._document.keys[here] = _place(self._document, _mark(event))
                values[key] = self._value(self._next(), here)
        return values

    def _key(self, event: yaml.Event, path: KeyPath) -> str | None:
        """The name that ``event`` gives to the next value; None, and a note, if it is no name."""
        if self._refuse_indirection(event, path):
            self._skip(event)
            return None
        if not isinstance(event, yaml.ScalarEvent):
            self._note(event, path, "a key must be a name, not a list or a mapping")
            self._skip(event)
            return None
        plain = event.implicit[0]
        if plain and event.value == "<<":
            self._note(event, path, f"the merge key << is refused; {_WRITE_OUT}")
            return None
        if plain and not isinstance(read_scalar(event.value), str):
            why = f"a key must be a name, found {printable(event.value) or 'nothing'}"
            self._note(event, path, why)
            return None
        return str(event.value)

    def _sequence(self, path: KeyPath) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, len(values))))
        return values

    def _skip(self, event: yaml.Event) -> None:
        """Leave out a value, however deep."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = self._next()


_WRITE_OUT = "write the value out where it is needed"
