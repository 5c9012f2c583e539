"""What few pairs are trained with."""

import re
from pathlib import Path
from typing import Any

import pytest
from looked_at import WORDS, noticed_of_size

from charseq.config import load_config
from charseq.config.recipes import PAIRS, Recipe
from charseq.config.schema import Seq2SeqConfig

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("pairs", "config"),
    [
        (2_499, "configs/g2p_ady.yaml"),
        (2_500, "configs/g2p_fre.yaml"),
        (11_999, "configs/g2p_fre.yaml"),
        (12_000, None),
    ],
)
def test_few_pairs_are_trained_on_as_so_few_have_been(pairs: int, config: str | None) -> None:
    cells = [["lemma", "form"], *([str(number), f"{number}ed"] for number in range(pairs)), [""]]
    (notice,) = noticed_of_size(cells)
    if config is None:
        assert notice.seen.startswith("many pairs: ")
        assert notice.settings == {}
    else:
        assert notice.seen.startswith(f"{pairs:,} pairs, ")
        assert config in notice.seen
    (more,) = noticed_of_size(cells, whole=False)  # there are others
    assert more.settings == {}
    for name in re.findall(r"configs/\w+\.yaml", more.seen):
        assert (ROOT / name).exists()


def test_of_few_pairs_more_are_held_back_to_validate() -> None:
    for count, split in ((999, "0.8/0.1/0.1"), (1_000, None)):
        cells = [[str(number), f"{number}ed"] for number in range(count)]
        broken = [["1", ""], ["", "2"]]  # no pairs, and not counted
        found = [k for n in noticed_of_size([*cells, *broken]) for k in n.settings.items()]
        assert dict(found).get(("data", "split")) == split


@pytest.mark.parametrize("recipe", PAIRS, ids=lambda recipe: recipe.source)
def test_a_recipe_is_the_configuration_that_it_names(recipe: Recipe) -> None:
    named = load_config(ROOT / recipe.source)
    assert isinstance(named, Seq2SeqConfig)
    sections: dict[str, dict[str, Any]] = {"data": {"train": "t.tsv"}, "model": {}, "train": {}}
    for (section, name), value in recipe.settings.items():
        sections[section][name] = value
    made = Seq2SeqConfig.model_validate(sections)
    assert (made.model, made.train) == (named.model, named.train)
    assert f"{recipe.made_for:,} words to train on" in (ROOT / recipe.source).read_text()
    assert recipe.made_for < recipe.below


def test_pairs_whose_symbols_move_get_attention_that_may_go_back() -> None:
    """Dates: the day comes first in one and last in the other; a word and its plural: no."""
    days = [(1 + n % 28, 1 + n % 12, 1950 + n % 77) for n in range(400)]
    dates = [[f"{d}/{m}/{y}", f"{y}-{m:02}-{d:02}"] for d, m, y in days]
    words = [[word, f"{word}s"] for word in WORDS]
    for cells, attention in ((dates, "general"), (words, "monotonic")):
        found = {k: v for n in noticed_of_size(cells) for k, v in n.settings.items()}
        assert found["model", "attention"] == attention
        assert found["model", "num_layers"] == 2
        assert found["train", "spliced_pairs"] == (3200 if attention == "monotonic" else 0)


def test_a_line_that_ends_before_its_source_is_passed_over() -> None:
    cells = [["target", "x", "source"], *[["b", "y"]] * 200, *[["cat", "y", "act"]] * 200]
    seen = [notice.seen for notice in noticed_of_size(cells)]
    assert seen[1].startswith("33% of the letters")  # c and a of "act", not t
