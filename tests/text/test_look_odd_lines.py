"""Lines that are odd, and accents and spaces that nobody sees."""

from pathlib import Path

import pytest
from looked_at import WORDS, noticed

from charseq.config.schema.seq2seq import PairDataConfig
from charseq.text.look.odd_lines import wrong_lines


def test_what_nobody_sees_in_a_line_is_told() -> None:
    plain = [[word, word[::-1]] for word in WORDS]
    assert not noticed(plain)
    rows = [*plain, ["ab", "ba", "ab"], ["ab ", "ba"], ["abc", " cba"], ["abcd", "dcba", "", ""]]
    n = len(plain)
    assert [one.seen for one in noticed(rows)] == [
        f"line {n + 1} and 1 more: more than 2 columns; what is there is not read, unless"
        " data.further_targets: true says that they are further right targets",
        f"line {n + 2}: a space at an end of the source is a symbol like any other",
        f"line {n + 3}: a space at an end of the target is a symbol like any other",
    ]


def test_accents_typed_in_two_ways_are_told() -> None:
    """As where a part of a file was typed on a Mac; in print they are the same."""
    plain = [["ab", "ab"]] * 3
    rows = [*plain, ["caf\xe9", "x"], ["e\u0301t\xe9", "y"]]
    [notice] = [one for one in noticed(rows) if "accents" in one.seen]
    assert notice.seen == (
        "line 5: accents of the source are characters of their own (Unicode NFD), elsewhere not:"
        " data.normalize: NFC"
    )
    assert notice.settings == {("data", "normalize"): "NFC"}
    rows = [["a", "\xe9"], ["b", "e\u0301"], *plain, ["c", "o\u0302"]]
    [notice] = [one for one in noticed(rows) if "accents" in one.seen]
    assert notice.seen.startswith("line 2 and 1 more: accents of the target are characters of")
    assert notice.seen.endswith("targets are read as they are: save the file as NFC")
    assert notice.settings == {}
    rows = [*plain, ["e\u0301", "e\u0301"], ["xe\u0301", "ye\u0301"]]
    [notice] = [one for one in noticed(rows) if "accents" in one.seen]
    assert notice.settings == {("data", "normalize"): "NFD"}
    for alike in ("\xe9", "ɛ̃"):  # the last has no other form
        rows = [*plain, [alike, alike], [f"x{alike}", f"y{alike}"]]
        assert not any("accents" in one.seen for one in noticed(rows))
    for other in ("\u212b", "\u09dc"):  # other forms, which are no accents
        rows = [*plain, [other, other], ["\xe9", "\xe9"], ["\u09cb", "\u09cb"]]
        assert not any("accents" in one.seen for one in noticed(rows))


def test_lines_without_a_tab_say_so() -> None:
    (notice,) = noticed([["a,b"], ["c,d"]])
    assert notice == ("no line has a tab between a source and a target", {})


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ({7: "a"}, "line 8: there is no tab between a source and a target; mend"),
        ({2: "", 5: "a", 7: "a\t"}, "line 3: the line is empty (and 2 more); mend"),
        ({3: "a\t"}, "line 4: the target is empty; mend"),
        ({3: "\tb"}, "line 4: the source is empty; mend"),
        ({3: "a2\tb2"}, "line 4: the same source and target stand in line 3 already; mend"),
        ({}, None),
    ],
)
def test_lines_that_a_training_would_refuse_are_named(
    wrong: dict[int, str], seen: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("".join(wrong.get(i, f"a{i}\tb{i}") + "\n" for i in range(9)))
    said = [notice.seen for notice in wrong_lines(path, PairDataConfig(train="t.tsv"))]
    assert len(said) == (seen is not None)
    for line in said:
        assert line.startswith(str(seen))
        assert line.endswith("data.errors: skip")


def test_quotes_around_cells_are_told() -> None:
    quoted = [[f'"{word}"', f'"{word[::-1]}"'] for word in WORDS]
    [notice] = noticed(quoted)
    assert notice.seen.startswith("cells stand in quotes, which are symbols like any other")
    assert noticed([*quoted[:150], *([word, word] for word in WORDS[150:])]) == []


def test_a_first_line_in_other_letters_may_be_a_header() -> None:
    words = [["слово" + "аб" * n, "слава" + "аб" * n] for n in range(120)]
    said = "line 1 is read as a pair; if it names the columns, set data.source_column: "
    for first, settings in (
        (["old", "new"], "old, data.target_column: new"),
        (["слово", "new"], '"слово", data.target_column: new'),
        (["ваб", "баб"], None),
    ):
        seen = [one.seen for one in noticed([first, *words])]
        odd = [one for one in seen if one.startswith(said)]
        assert odd == ([said + settings] if settings else [])
    signs = [[chr(0x4E00 + n), f"ab{n % 7}"] for n in range(150)]  # each stands in one line alone
    assert not any(one.seen.startswith(said) for one in noticed(signs))
    few = noticed([["old", "new"], *words[:50]])
    assert not any(one.seen.startswith(said) for one in few)
