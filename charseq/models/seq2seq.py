"""Sequence to sequence: an encoder reads the source, a decoder with attention writes the target."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charseq.errors import CharseqError
from charseq.lstm.cell import State, padding_mask
from charseq.lstm.layer import LSTM
from charseq.models.attention import SCORES, Memory
from charseq.models.decoder import Decoder
from charseq.models.decoder_state import DecoderState
from charseq.models.encoder import Encoder
from charseq.models.monotonic import MonotonicDecoder
from charseq.text.pair_batches import IGNORED, PairBatch
from charseq.text.pair_vocab import END, TARGET_UNKNOWN

MONOTONIC = "monotonic"
ATTENTIONS = ("none", *SCORES, MONOTONIC)


class Seq2Seq(nn.Module):
    """p(target | source), symbol by symbol. Satisfies ``SequenceModel`` but for ``begin``.

    S, T: symbols of the longest source and target, B: sequences, V: target symbols.

    ``attention``: none, dot, general, additive or monotonic; ``copy_table`` needs one;
    ``input_feeding`` and ``coverage`` need dot, general or additive. With monotonic what the model
    calls logits is log P.
    ``copy_table``: the target id of each source id, -1 where there is none; given, the model may
    copy (``pointer.py``), and what it calls logits is log P. ``embedding_size``: None reads one-hot
    vectors. ``dropout`` acts between layers, on the memory and on what the output layer reads;
    ``input_dropout`` on embeddings, or on whole symbols of one-hot inputs; ``locked_dropout`` and
    ``weight_drop`` as in ``LSTM``. ``scheduled_sampling`` is the probability with which, in
    training, the decoder reads its own prediction in place of the true symbol.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = True,
        attention: str = "general",
        input_feeding: bool = False,
        coverage: bool = False,
        copy_table: Sequence[int] | NDArray[np.int64] | None = None,
        embedding_size: int | None = None,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        locked_dropout: bool = False,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        forget_bias: float = 1.0,
        backend: str = "auto",
        scheduled_sampling: float = 0.0,
    ) -> None:
        super().__init__()
        _check(source_size, target_size, attention, input_feeding, coverage, copy_table)
        if not 0.0 <= scheduled_sampling <= 1.0:
            raise CharseqError(
                f"Seq2Seq: scheduled_sampling must lie between 0 and 1, not {scheduled_sampling}"
            )
        self.scheduled_sampling = scheduled_sampling
        make_lstm = partial(
            LSTM,
            num_layers=num_layers,
            dropout=dropout,
            input_dropout=input_dropout,
            locked_dropout=locked_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            forget_bias=forget_bias,
            backend=backend,
        )
        self.encoder = Encoder(
            source_size,
            hidden_size,
            make_lstm,
            bidirectional=bidirectional,
            embedding_size=embedding_size,
        )
        copy = copy_table is not None
        self.decoder: Decoder | MonotonicDecoder
        if attention == MONOTONIC:
            self.decoder = MonotonicDecoder(
                target_size, hidden_size, make_lstm, copy=copy, embedding_size=embedding_size
            )
        else:
            self.decoder = Decoder(
                target_size,
                hidden_size,
                make_lstm,
                attention=attention,
                input_feeding=input_feeding,
                copy=copy,
                embedding_size=embedding_size,
                coverage=coverage,
            )
        # Not in the checkpoint: it follows from the vocabulary, which is.
        table = None if copy_table is None else torch.tensor(list(copy_table), dtype=torch.int64)
        self.copy_table: Tensor | None
        self.register_buffer("copy_table", table, persistent=False)

    @property
    def device(self) -> torch.device:
        """See ``SequenceModel.device``."""
        return self.decoder.output.weight.device

    @property
    def backend(self) -> str:
        """See ``SequenceModel.backend``."""
        return self.decoder.lstm.resolve_backend(self.device)

    @property
    def vocab_size(self) -> int:
        """V, the width of the logits."""
        return self.decoder.output.out_features

    def forward(self, source: Tensor, source_lengths: Tensor | None, inputs: Tensor) -> Tensor:
        """Logits (T, B, V) of the symbol that follows each of ``inputs``; with copying, log P.

        ``source``: ids (S, B); ``source_lengths``: (B,), None where all have S symbols; what stands
        behind them is never seen. ``inputs``: ids (T, B), END and then the target.
        """
        memory, state = self.encode(source, source_lengths)
        logits: Tensor = self.decoder(inputs, memory, state)
        return logits

    def encode(self, source: Tensor, lengths: Tensor | None) -> tuple[Memory | None, State]:
        """The memory, None without attention, and the decoder's first h and c, (L, B, H)."""
        output, state = self.encoder(source, lengths)
        if not self.decoder.looks_back:
            return None, state
        inside = None if lengths is None else padding_mask(lengths, len(source))[:, :, 0].t()
        copies = None
        if self.copy_table is not None:
            copies = self.copy_table[source].t()
            if inside is not None:
                copies = copies.where(inside, -1)
        values = output.transpose(0, 1).contiguous()  # (B, S, H): attention works by source
        attention = self.decoder.attention
        keys = None if attention is None else attention.keys(values)
        return Memory(values, keys, inside, copies), state

    def loss(
        self, batch: PairBatch, state: None = None, label_smoothing: float = 0.0
    ) -> tuple[Tensor, int, None]:
        """The sum of the cross-entropy of every target symbol, END included, in nats; their count.

        Nothing is carried from batch to batch: the state is None, before and after.
        """
        del state
        source, inputs, targets = (
            torch.from_numpy(ids).to(self.device)
            for ids in (batch.source, batch.inputs, batch.targets)
        )
        padded = bool((batch.source_lengths < len(source)).any())
        lengths = torch.from_numpy(batch.source_lengths).to(self.device) if padded else None
        memory, first = self.encode(source, lengths)
        if self.training and self.scheduled_sampling > 0.0:
            inputs = self._replace(inputs, memory, first)
        logits: Tensor = self.decoder(inputs, memory, first)
        loss_sum = nn.functional.cross_entropy(
            logits.flatten(0, 1),
            targets.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        return loss_sum, int(batch.target_lengths.sum()), None

    @torch.no_grad()
    def _replace(self, inputs: Tensor, memory: Memory | None, state: State) -> Tensor:
        """Scheduled sampling: some of ``inputs`` (T, B) replaced by what the model predicted there.

        In two passes (Mihaylova and Martins 2019, section 3), so that each is as parallel as
        without: this one predicts with the true symbols before. As in decoding the unknown symbol
        is not predicted, and a predicted END, which ends there, is not read.
        """
        scores = self.decoder(inputs, memory, state)[:-1]
        scores[..., TARGET_UNKNOWN] = -torch.inf
        predicted = scores.argmax(-1)
        chosen = torch.rand(predicted.shape, device=predicted.device) < self.scheduled_sampling
        chosen &= predicted != END
        return torch.cat([inputs[:1], torch.where(chosen, predicted, inputs[1:])])

    def begin(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, DecoderState]:
        """Read sources (S, B) of ``lengths`` (B,).

        Returns the ids (B,), all END, that ``step`` reads first, and the state before them: one
        hypothesis a source.
        """
        padded = bool((lengths < len(source)).any())
        memory, (h, c) = self.encode(source, lengths if padded else None)
        feed = torch.zeros_like(h[-1]) if self.decoder.input_feeding else None
        return torch.full_like(lengths, END), DecoderState(h, c, feed, memory)

    def step(self, ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Read one symbol of each hypothesis, (R,). Returns the logits (R, V) of the next one."""
        return self.decoder.step(ids, state)


def _check(
    source_size: int,
    target_size: int,
    attention: str,
    input_feeding: bool,
    coverage: bool,
    copy_table: Sequence[int] | NDArray[np.int64] | None,
) -> None:
    """What no part of the model looks at by itself."""
    if attention not in ATTENTIONS:
        raise CharseqError(
            f"Seq2Seq: there is no attention {attention!r}; choose one of {', '.join(ATTENTIONS)}"
        )
    if attention == "none" and copy_table is not None:
        raise CharseqError(
            f"Seq2Seq: copy needs attention; choose one of {', '.join(ATTENTIONS[1:])}"
        )
    for name, wanted in (("input_feeding", input_feeding), ("coverage", coverage)):
        if wanted and attention not in SCORES:
            raise CharseqError(
                f"Seq2Seq: {name} needs attention that weighs places: {', '.join(SCORES)}; not"
                f" {attention}"
            )
    if copy_table is not None:
        if len(copy_table) != source_size:
            raise CharseqError(
                f"Seq2Seq: copy_table has {len(copy_table)} entries for {source_size} source ids"
            )
        if not all(-1 <= ident < target_size for ident in copy_table):
            raise CharseqError(
                f"Seq2Seq: copy_table has an id that is not in -1 to {target_size - 1}"
            )
