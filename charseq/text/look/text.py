"""A look at a text, and the settings that it asks for: as ``pairs.py`` for pairs."""

from itertools import islice
from pathlib import Path

from charseq.config.recipes import FEWEST_CHARACTERS, TEXTS, recipe_for
from charseq.errors import CharseqError
from charseq.text.characters import escape
from charseq.text.look.notices import Notice, few, notice_of
from charseq.text.read import CHUNK_BYTES, LOOKED_AT, read_chunks
from charseq.text.wording import number_of


class TooShortError(CharseqError):
    """A text that no settings make long enough to train on."""


def look_at_text(path: Path) -> list[Notice]:
    """Whether the text is short, and has the line ends of Windows. Of a long one the beginning.

    Raises:
        TooShortError: there are too few characters to train on.
        CharseqError: as ``read_chunks``.
    """
    chunks = read_chunks(path)
    characters = returns = lines = 0
    for chunk in islice(chunks, LOOKED_AT // CHUNK_BYTES):
        characters += len(chunk)
        returns += chunk.count("\r\n")
        lines += chunk.count("\n")
    if characters < FEWEST_CHARACTERS:
        raise TooShortError(
            f"{escape(str(path))}: has {number_of(characters, 'character')},"
            f" too few to train on; take a text of at least {FEWEST_CHARACTERS}"
        )
    notices = []
    if returns and returns == lines:
        why = "lines end with CR and LF, as on Windows; the model shall learn LF alone"
        notices.append(notice_of(why, {("data", "newlines"): "unix"}))
    recipe = recipe_for(TEXTS, characters)
    if recipe is not None and next(chunks, None) is None:
        notices.append(Notice(few(characters, "character", recipe), recipe.settings))
    return notices
