"""A prediction above its right answer: nothing lost, symbol under symbol."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charseq.inference.align import align
from charseq.reports.aligned import Lines, aligned_lines

SYMBOLS = st.lists(st.sampled_from(["a", "b", "漢", "\u0301", " ", "\x1b", "ᅡ"]), max_size=12)


def lines(predicted: str, reference: str, width: int = 80, *, spaced: bool = False) -> list[Lines]:
    sides = [text.split() if spaced else list(text) for text in (predicted, reference)]
    return aligned_lines(align(*sides), width, spaced=spaced, in_color=False)


def plain(line: Lines) -> list[str]:
    return ["" if text is None else text.plain for text in line]


def test_what_is_missing_leaves_a_gap() -> None:
    (line,) = lines("1979-5-03", "1979-05-03")
    assert plain(line) == ["1979- 5-03", "1979-05-03", "     ^    "]
    (line,) = lines("aab", "ab")
    assert plain(line) in (["aab", " ab", "^  "], ["aab", "a b", " ^ "])


def test_a_space_that_differs_is_seen() -> None:
    (line,) = lines("a b c", "a bxc")
    assert plain(line) == ["a b␣c", "a bxc", "   ^ "]


def test_words_stand_below_each_other() -> None:
    (line,) = lines("t͡ʃ a eː", "a e eː", spaced=True)
    predicted, reference, marks = plain(line)
    assert predicted.split() == ["t͡ʃ", "a", "eː"]
    assert reference.split() == ["a", "e", "eː"]
    assert cell_len(predicted) == cell_len(reference) == cell_len(marks)
    assert predicted.rstrip().endswith("eː")
    assert marks.rstrip().count("^") in (3, 4)


def test_a_mark_is_drawn_on_its_letter_only_where_both_are_alike() -> None:
    accent = "\u0301"
    (line,) = lines(f"e{accent}x", f"e{accent}y")
    assert plain(line) == [f"e{accent}x", f"e{accent}y", " ^"]
    (line,) = lines(f"ae{accent}", f"ai{accent}")
    assert plain(line) == [f"ae◌{accent}", f"ai◌{accent}", " ^ "]


def test_in_color_what_differs_is_styled_and_nothing_is_below() -> None:
    (line,) = aligned_lines(align("one", "ore"), 80, spaced=False, in_color=True)
    assert line.marks is None
    assert [str(span.style) for span in line.prediction.spans] == ["white on red"]
    assert line.prediction.spans[0].start == 1
    assert [str(span.style) for span in line.reference.spans] == ["black on green"]


@given(SYMBOLS, SYMBOLS, st.booleans(), st.integers(4, 30))
def test_lines_are_aligned_and_hold_every_symbol(
    predicted: list[str], reference: list[str], spaced: bool, width: int
) -> None:
    pieces = align(predicted, reference)
    shown = aligned_lines(pieces, width, spaced=spaced, in_color=False)
    for line in shown:
        widths = {cell_len(text) for text in plain(line)}
        assert len(widths) == 1
        assert max(widths) <= max(width, 5)  # an escaped control character has 4 cells
    for side, symbols in ((0, predicted), (1, reference)):
        text = "".join(plain(line)[side] for line in shown)
        text = text.replace("\\x1b", "\x1b").replace("ㅏ", "ᅡ")
        assert [c for c in text if c not in " ◌␣"] == [c for c in symbols if c != " "]
    marked = "".join(plain(line)[2] for line in shown)
    assert ("^" in marked) == (predicted != reference)
    assert set(marked) <= {"^", " "}
