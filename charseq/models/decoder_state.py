"""Where a decoding stands: plain data that a search picks from and hands back."""

from dataclasses import dataclass

from torch import Tensor

from charseq.models.attention import Memory


@dataclass(frozen=True)
class DecoderState:
    """R hypotheses of B sources: those of one source side by side, R / B of each.

    L: layers, H: hidden units, S: places of a source.
    """

    h: Tensor  # (L, R, H)
    c: Tensor  # (L, R, H)
    feed: Tensor | None  # (R, H): the last h~, with input feeding
    memory: Memory | None  # of the B sources; None without attention
    attention: Tensor | None = None  # (R, S): the weights of the last step
    covered: Tensor | None = None  # (R, S): the sum of the weights so far, with coverage
    joint: Tensor | None = None  # (R, S, V): its log P(place, symbol), with monotonic attention

    def select(self, rows: Tensor, sources: Tensor | None = None) -> "DecoderState":
        """The hypotheses with the numbers ``rows`` (R',), of the ``sources`` (B',), None for all.

        A row may be taken several times; those of one source must again stand side by side.
        """
        memory = self.memory
        if memory is not None and sources is not None:
            memory = memory.select(sources)
        return DecoderState(
            self.h[:, rows],
            self.c[:, rows],
            None if self.feed is None else self.feed[rows],
            memory,
            None if self.attention is None else self.attention[rows],
            None if self.covered is None else self.covered[rows],
            None if self.joint is None else self.joint[rows],
        )


def by_source(x: Tensor, sources: int) -> Tensor:
    """Rows (B * K, …) as K of each of B sources, (K, B, …): hypotheses where steps would be."""
    return x.view(sources, len(x) // sources, *x.shape[1:]).transpose(0, 1)


def by_row(x: Tensor) -> Tensor:
    """The inverse of ``by_source``."""
    return x.transpose(0, 1).flatten(0, 1)
