"""What is shown of a mistake is the mistake."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from charseq.inference.align import Confusion, Piece, align, confusions
from charseq.inference.metrics import edits
from charseq.inference.pairs import Judged
from charseq.text.pairs import Example

symbols = st.lists(st.sampled_from(["a", "b", "t͡ʃ"]), max_size=8).map(tuple)


def judged(prediction: str, reference: str) -> Judged:
    distance, _ = edits(prediction, [reference])
    return Judged(
        example=Example("x", (), (reference,)),
        source_length=1,
        prediction=prediction,
        symbols=tuple(prediction),
        edits=distance,
        reference=tuple(reference),
        right=distance == 0,
        log_probability=-1.0,
    )


def test_a_word_with_one_of_each_mistake() -> None:
    assert align(list("xabde"), list("abcdf")) == [
        Piece("insert", ("x",), ()),
        Piece("equal", ("a", "b"), ("a", "b")),
        Piece("delete", (), ("c",)),
        Piece("equal", ("d",), ("d",)),
        Piece("replace", ("e",), ("f",)),
    ]
    assert align("", "") == []
    assert align("", "ab") == [Piece("delete", (), ("a", "b"))]


@given(predicted=symbols, reference=symbols)
def test_the_pieces_are_the_two_sides_with_as_few_edits_as_can_be(
    predicted: tuple[str, ...], reference: tuple[str, ...]
) -> None:
    pieces = align(predicted, reference)
    assert sum((piece.predicted for piece in pieces), ()) == predicted
    assert sum((piece.reference for piece in pieces), ()) == reference
    cost = 0
    for piece in pieces:
        left, right = len(piece.predicted), len(piece.reference)
        match piece.kind:
            case "equal":
                assert piece.predicted == piece.reference
            case "replace":
                assert left == right > 0
                assert all(a != b for a, b in zip(piece.predicted, piece.reference, strict=True))
            case "insert":
                assert left > right == 0
            case "delete":
                assert right > left == 0
        cost += 0 if piece.kind == "equal" else max(left, right)
    assert cost == edits(predicted, [reference])[0]


def test_the_commonest_mistakes_come_first() -> None:
    wrong = ["bat cat", "bed ced", "at cat", "catss cat", "ctt cat", "same same"]
    found = confusions(judged(*both.split()) for both in wrong)
    assert found == [
        Confusion("insert", "s", "", 2),
        Confusion("replace", "b", "c", 2),
        Confusion("delete", "", "c", 1),
        Confusion("replace", "t", "a", 1),
    ]
    assert confusions([]) == []


@given(st.lists(st.tuples(st.text("abc", max_size=6), st.text("abc", max_size=6)), max_size=6))
def test_every_edit_is_counted_once(texts: list[tuple[str, str]]) -> None:
    every = [judged(prediction, reference) for prediction, reference in texts]
    found = confusions(every)
    assert sum(one.count for one in found) == sum(one.edits for one in every)
    assert max(Counter((c.kind, c.predicted, c.reference) for c in found).values(), default=1) == 1
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)
