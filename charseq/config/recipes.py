"""How little data is trained on: settings that were measured, for ``charseq init``.

What each was measured on, and what it gave, is in docs/recipes.md and docs/results.md.
"""

from collections.abc import Sequence
from typing import NamedTuple

from charseq.config.scalars import Scalar

Settings = dict[tuple[str, ...], Scalar]


class Recipe(NamedTuple):
    """How fewer pairs, or characters, than ``below`` are trained on; ``source`` is where it is."""

    below: int
    made_for: int
    source: str
    settings: Settings


# The bounds lie between 800 pairs, 8,000, and the 16,000 dates in one layer.
PAIRS = (
    Recipe(
        2_500,
        800,
        "configs/g2p_ady.yaml",
        {
            ("model", "num_layers"): 2,
            ("model", "attention"): "monotonic",
            ("model", "copy"): "auto",
            ("model", "dropout"): 0.4,
            ("train", "batch_size"): 16,
            ("train", "max_steps"): 2500,
            ("train", "spliced_pairs"): 3200,
            ("train", "learning_rate"): 5e-3,
            ("train", "label_smoothing"): 0.1,
            ("train", "average_decay"): 0.995,
            ("train", "monitor"): "ser",
            ("train", "eval_every"): 100,
        },
    ),
    Recipe(
        12_000,
        8_000,
        "configs/g2p_fre.yaml",
        {
            ("model", "num_layers"): 2,
            ("model", "attention"): "monotonic",
            ("model", "copy"): "auto",
            ("model", "dropout"): 0.3,
            ("train", "batch_size"): 32,
            ("train", "max_steps"): 3000,
            ("train", "learning_rate"): 1e-2,
            ("train", "label_smoothing"): 0.1,
            ("train", "average_decay"): 0.999,
            ("train", "precision"): "auto",
            ("train", "eval_every"): 300,
        },
    ),
)


def _text(
    *, hidden_size: int, weight_decay: float, batch_size: int, max_steps: int, eval_every: int
) -> Settings:
    """What few characters have in common: much dropout, many small updates at a high rate."""
    return {
        ("model", "hidden_size"): hidden_size,
        ("model", "dropout"): 0.5,
        ("train", "batch_size"): batch_size,
        ("train", "seq_len"): 64,
        ("train", "max_steps"): max_steps,
        ("train", "learning_rate"): 2e-2,
        ("train", "weight_decay"): weight_decay,
        ("train", "precision"): "auto",
        ("train", "eval_every"): eval_every,
        ("train", "save_every"): eval_every,
    }


FEW_CHARACTERS = "docs/recipes.md"
FEWEST_CHARACTERS = 300  # nine tenths of them are a batch of the first recipe below, and one more
TEXTS = (
    Recipe(
        10_000,
        4_000,
        FEW_CHARACTERS,
        _text(hidden_size=128, weight_decay=0.3, batch_size=4, max_steps=400, eval_every=50),
    ),
    Recipe(
        50_000,
        20_000,
        FEW_CHARACTERS,
        _text(hidden_size=256, weight_decay=0.3, batch_size=8, max_steps=800, eval_every=100),
    ),
    Recipe(
        250_000,
        100_000,
        FEW_CHARACTERS,
        _text(hidden_size=256, weight_decay=0.1, batch_size=16, max_steps=1500, eval_every=250),
    ),
    Recipe(
        3_000_000,
        1_000_000,
        FEW_CHARACTERS,
        _text(hidden_size=512, weight_decay=0.1, batch_size=16, max_steps=4000, eval_every=500),
    ),
)

# What a target in another order than its source has instead
ORDERLESS: Settings = {("model", "attention"): "general", ("train", "spliced_pairs"): 0}


def recipe_for(recipes: Sequence[Recipe], count: int) -> Recipe | None:
    """That for so many pairs or characters; None where the defaults will do, and for nothing."""
    return next((one for one in recipes if 0 < count < one.below), None)
