"""What a look at a text notices."""

from pathlib import Path

import pytest

from charseq.config.recipes import TEXTS
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.text.corpus import Streams, load_corpus
from charseq.text.look.text import look_at_text

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("characters", "made_for"),
    [
        (300, 4_000),
        (9_999, 4_000),
        (10_000, 20_000),
        (249_999, 100_000),
        (2_999_999, 1_000_000),
        (3_000_000, None),
    ],
)
def test_a_short_text_is_trained_on_as_such_have_been(
    characters: int, made_for: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.txt"
    path.write_text("é" * characters)  # two bytes each
    seen = [notice.seen for notice in look_at_text(path)]
    assert len(seen) == (made_for is not None)
    for line in seen:
        assert line.startswith(f"{characters:,} characters, fewer than ")
        assert line.endswith(f" as in docs/recipes.md, made for {made_for:,}")


@pytest.mark.parametrize("characters", [300, 3_000, *(recipe.below - 1 for recipe in TEXTS)])
def test_what_a_short_text_asks_for_can_be_trained_on_it(characters: int, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(("the cat sat on the mat\n" * 131_000)[:characters])
    (notice,) = look_at_text(path)
    sections: dict[str, dict[str, object]] = {"data": {"text": str(path)}, "model": {}, "train": {}}
    for (section, name), value in notice.settings.items():
        sections[section][name] = value
    config = LMConfig.model_validate(sections)
    corpus = load_corpus(config.data)
    streams = Streams(corpus.train, config.train.batch_size, config.train.seq_len)
    assert streams.steps_per_epoch >= 1
    assert len(corpus.valid) >= 2


def test_a_text_too_short_for_any_training_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for characters, said in ((1, "has 1 character,"), (299, "has 299 ch")):
        path.write_text("é" * characters)
        with pytest.raises(CharseqError, match=f"{said}.*too few to train on.* at least 300"):
            look_at_text(path)


def test_the_line_ends_of_windows_are_noticed_where_all_are_such(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for text, settings in (
        ("a\r\nb\r\n", {("data", "newlines"): "unix"}),
        ("a\r\nb\n", {}),
        ("a\nb", {}),
        ("ab", {}),
    ):
        path.write_bytes(text.encode() * 200)
        found = {k: v for notice in look_at_text(path) for k, v in notice.settings.items()}
        assert {key: value for key, value in found.items() if key[0] == "data"} == settings
