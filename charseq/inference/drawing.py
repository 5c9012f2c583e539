"""What a draw of symbols may be asked for. Nothing here imports torch."""

import math

from charseq.errors import CharseqError


def check_drawing(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """The arguments of ``distribution.tempered``.

    Raises:
        CharseqError: one is out of its range.
    """
    if not 0.0 <= temperature < math.inf:
        raise CharseqError(f"temperature: must be at least 0 and finite, not {temperature}")
    if top_k is not None and top_k < 1:
        raise CharseqError(f"top_k: must be at least 1, not {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise CharseqError(f"top_p: must be above 0 and at most 1, not {top_p}")
