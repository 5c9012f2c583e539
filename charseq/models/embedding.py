"""What an LSTM reads of symbols: their ids, which stand for one-hot vectors, or learnt vectors."""

from torch import Tensor, nn


def make_embedding(symbols: int, size: int | None) -> nn.Embedding | None:
    """Learnt vectors for ids; None for one-hot vectors, which need no weights and no products."""
    return None if size is None else nn.Embedding(symbols, size)


def embed(embedding: nn.Embedding | None, ids: Tensor) -> Tensor:
    """Ids (T, B) as they are, or their vectors (T, B, size)."""
    if embedding is None:
        return ids
    vectors: Tensor = embedding(ids)
    return vectors
