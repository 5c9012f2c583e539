"""What a look at a file of pairs notices, and what it leaves alone."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from looked_at import PLAIN, WORDS, noticed, noticed_of_size, read_as, rows

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.look.columns import find_layout
from charseq.text.look.first_lines import first_lines
from charseq.text.look.pairs import data_settings, look_at_pairs

ROOT = Path(__file__).parent.parent.parent


def test_plain_pairs_are_left_alone() -> None:
    assert read_as(*PLAIN) == {}


def test_the_dates_that_come_with_charseq_have_tags_in_their_third_column() -> None:
    lines = first_lines(ROOT / "data" / "dates" / "train.tsv")
    (notice,) = look_at_pairs(lines, find_layout(lines))
    assert notice.seen == "column 3 holds tags: data.features_column: 3"
    assert notice.settings == {("data", "features_column"): 3}


@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=30))
def test_any_cells_are_looked_at_and_what_is_said_is_safe_to_show(cells: list[list[str]]) -> None:
    names = [["word", "pron", *cells[0]], *cells]
    for some in (cells, names):
        notices = [*noticed(some), *noticed_of_size(some)]
        assert all(notice.seen.isprintable() for notice in notices)
        PairDataConfig.model_validate({"train": "t.tsv", **data_settings(noticed(some))})


def test_a_hostile_name_is_shown_as_the_configuration_writes_it() -> None:
    tags = ["N", "V", "A", "P"] * 50
    lines = ["word\tpron\t\x1b[2J\u202e", *rows(WORDS, reversed(WORDS), tags)]
    _, notice, *_ = noticed([line.split("\t") for line in lines])
    assert notice.seen == 'column 3 holds tags: data.features_column: "\\x1b[2J\\u202e"'


NAMES = ("source", "target", "tags", "word", "form", "tag", "", "x", "V;PST", "1")


@given(
    header=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    cells=st.lists(st.sampled_from(("a b", "ab", "V;PST", "N", "7", "")), min_size=1, max_size=4),
    times=st.sampled_from((1, 120)),
)
def test_whatever_is_noticed_can_be_read_so(
    header: list[str], cells: list[str], times: int
) -> None:
    found = data_settings(noticed([header, *[cells] * times]))
    PairDataConfig.model_validate({"train": "t.tsv", **found})
