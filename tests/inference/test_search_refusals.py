"""What a search or a draw cannot be asked is told by name."""

import math
from typing import Any

import numpy as np
import pytest
from known_models import (
    SOURCES,
    Table,
    draw,
    random_model,
    random_table,
    search,
)

from charseq.errors import CharseqError
from charseq.inference.search import beam_search
from charseq.lstm.drawing import Drawing


@pytest.mark.parametrize("beam", [1, 2])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_diverged_model_is_named_as_such(broken: float, beam: int) -> None:
    sane = random_table(3)
    later = Table(3, lambda s, prefix: [0.0, 5.0, broken] if len(prefix) == 2 else [0.0, 5.0, 0.0])
    with pytest.raises(CharseqError, match="its weights are damaged or its training diverged"):
        search([sane, later], SOURCES, beam=beam)
    with pytest.raises(CharseqError, match="its weights are damaged or its training diverged"):
        draw([later], SOURCES, Drawing(0.0))


def test_models_of_different_vocabularies_do_not_work_together() -> None:
    with pytest.raises(CharseqError, match="models with 3 and 4 target symbols"):
        search([random_table(3), random_table(4)], SOURCES)
    with pytest.raises(CharseqError, match="no model was given"):
        search([], SOURCES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam": 0}, "beam: must be at least 1.*not beam 0"),
        ({"beam": 2, "n_best": 3}, "n_best from 1 to beam; not beam 2, n_best 3"),
        ({"n_best": 0}, "n_best 0"),
        ({"length_penalty": -0.1}, "length_penalty: must be from 0 to 10, not -0.1"),
        ({"length_penalty": math.nan}, "length_penalty: .* not nan"),
        ({"max_length": 0}, "max_length: must be at least 1, not 0"),
        ({"max_length": np.array([3, 3, 0, 3, 3])}, "max_length: must be at least 1, not 0"),
    ],
)
def test_an_argument_out_of_range_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        search([random_table(3)], SOURCES, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"numbers": [1]}, "1 numbers for 5 sources"),
        ({"draws": 0}, "0 draws"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_drawing_argument_out_of_range_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CharseqError, match=message):
        draw([random_table(3)], SOURCES, **wrong)


def test_sources_of_the_wrong_shape_are_refused() -> None:
    for source, lengths in ((np.ones((3, 2)), np.array([3])), (np.ones((3, 0)), np.array([]))):
        with pytest.raises(CharseqError, match=r"must be \(S, B\) and their lengths \(B,\)"):
            beam_search([random_model(3)], source, lengths, max_length=3)
