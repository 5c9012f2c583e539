"""The one family of errors that charseq raises on purpose.

A message says what was wrong, where (file:line, key, character position) and what to do. The
command line prints it without a traceback and exits with ``exit_code``.
"""


class CharseqError(Exception):
    """Something the person at the keyboard can mend; the text says how."""

    exit_code = 2


class ConfigError(CharseqError):
    """One or more mistakes in a configuration; ``problems`` holds one line for each.

    Every line reads ``file:line:column: key: why (did you mean …?)``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SaveError(CharseqError):
    """A file of a run could not be written, ``why``; what stood there before is whole."""

    def __init__(self, why: str, advice: str = "") -> None:
        super().__init__("; ".join(filter(None, (why, advice))))
        self.why = why


class NotFiniteError(CharseqError):
    """A training, or dynamic evaluation, gave a NaN or an infinity; the text is the diagnosis."""

    exit_code = 3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of which torch has no error of its own on a CPU."""
    ways = ("not enough", "can't allocate", "cannot allocate", "could not allocate", "out of")
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(f"{words} memory" in said for words in ways)
