"""One value of a YAML file: which plain text is a number, and how a value is written to read back.

PyYAML follows YAML 1.1, where ``3e-4`` is text, ``no`` is false, ``1:30`` is ninety and ``010`` is
eight. charseq reads the core of YAML 1.2 instead, without octal and hexadecimal: what looks like a
decimal number is one, and everything else is text.
"""

import re
from collections.abc import Iterable

Scalar = None | bool | int | float | str

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")

# Text that every YAML reader, old or new, takes for text when it stands without quotes.
_PLAIN = re.compile(r"(\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)?")
_NEVER_PLAIN = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r", "\0": r"\0"}


def read_scalar(text: str) -> Scalar:
    """The value of text that stands in the file without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    # Python refuses to read very long integers; such a number is out of every bound anyway.
    if _INT.fullmatch(text) and len(text) <= 300:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def write_scalar(value: object) -> str:
    """``value`` on one line of YAML; lists and tuples become ``[a, b]``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            # YAML 1.1 knows 1.0e-05, but takes Python's 1e-05 for text.
            return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
        case str():
            return _write_text(value)
        case Iterable():
            return f"[{', '.join(write_scalar(item) for item in value)}]"
        case _:
            return str(value)


def _write_text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NEVER_PLAIN:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
