"""Sums as questions and answers: ``535+61`` -> ``596``, as in Keras's example ``addition_rnn``.

There every question is padded with spaces to the length of the longest, every answer too, and the
padded question may be turned around: ``16+535`` for 535+61, which Keras's results rest on.
"""

from collections.abc import Iterator

from charseq.progress import Progress
from charseq.text.synthetic.draw import Item, Row, below, check_size, distinct, seeded
from charseq.text.synthetic.write import About

MAX_DIGITS = 15  # what ``below`` can draw from


def about_addition(digits: int, *, pad: bool, reverse: bool) -> About:
    """What the folder's README says of the rows."""
    padded = ", padded with spaces on the right to {} characters" if pad else ""
    source = f"source: a sum of two numbers of up to {digits} digits"
    source += padded.format(2 * digits + 1)
    source += f"{', then' if pad else ','} turned around" if reverse else ""
    return About(
        title=f"Sums of numbers of up to {digits} digits",
        columns=(source, f"target: their sum{padded.format(digits + 1)}"),
        notes=(
            "As in Keras's example `addition_rnn`: how many digits a number has is drawn first, "
            "then the digits; no two rows add the same two numbers, in whichever order.",
        ),
    )


def addition_rows(
    size: int,
    seed: int,
    digits: int,
    *,
    pad: bool = True,
    reverse: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Row]:
    """``size`` different rows: question, answer.

    Args:
        digits: of the longest number, from 1 to MAX_DIGITS.

    Raises:
        CharseqError: there are fewer rows than ``size``.
    """
    numbers = 10**digits
    things = f"pairs of numbers of up to {digits} digits"
    check_size(size, numbers * (numbers + 1) // 2, things)
    random = seeded(seed)

    def item(a: int, b: int) -> Item:
        question, answer = f"{a}+{b}", f"{a + b}"
        if pad:
            question, answer = question.ljust(2 * digits + 1), answer.ljust(digits + 1)
        return (min(a, b), max(a, b)), (question[::-1] if reverse else question, answer)

    def number() -> int:
        # All strings of so many digits, also those that begin with a zero, equally often.
        return below(random, 10 ** (1 + below(random, digits)))

    def everything() -> Iterator[Item]:
        for a in range(numbers):
            for b in range(a, numbers):
                yield item(b, a) if below(random, 2) else item(a, b)

    return distinct(random, lambda: item(number(), number()), everything, size, things, progress)
