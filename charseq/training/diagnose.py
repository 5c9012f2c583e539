"""What went wrong with a training: where a NaN came from, and whether one without NaN diverged."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from charseq.config.schema.shared import TrainConfig
from charseq.lstm.cell import Gates, State
from charseq.models.build import Model
from charseq.models.embedding import embed
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.corpus import Batch
from charseq.text.pair_batches import PairBatch
from charseq.training.state import TrainingState

Named = Iterator[tuple[str, Tensor]]  # in the order in which they are computed

FAR_OFF = 2.0  # times the loss of a uniform guess


def diverged(loss: float, vocab_size: int) -> bool:
    """Whether a mean training loss, in nats per symbol, is that of weights thrown far off.

    To guess each of V symbols with the same probability costs ln V, whatever the data and the label
    smoothing. New weights cost a few hundredths more, and training only takes away from that: twice
    as much is a model that is sure of what is wrong, even on what it is trained on. The validation
    loss would not tell: it rises as far where a model overfits. Nor would the loss at the end: once
    the schedule has brought the learning rate down, thrown-off weights still learn a little.
    """
    return loss > FAR_OFF * math.log(vocab_size)


def divergence(loss: float, step: int, vocab_size: int, settings: TrainConfig) -> str:
    """What a person should know about it; ``loss`` is the mean before ``step``."""
    rate, clip, guess = settings.learning_rate, settings.clip_norm, math.log(vocab_size)
    bound = "set train.clip_norm" if clip is None else f"train.clip_norm (now {clip:g})"
    return (
        f"the training diverged: before step {step:,} its loss was {loss:.1f} nats per symbol; a"
        f" blind guess costs ln {vocab_size} = {guess:.1f}. Train anew, in another folder (--run):"
        f" lower train.learning_rate (now {rate:g}) or {bound}"
    )


def went_wrong(state: TrainingState, batch: Any, step: int, symptom: str) -> str:
    """What to tell of a step, from 1 on, whose numbers are not finite; it read ``batch``."""
    details = diagnose(state.model, batch, state.carried)
    return (
        f"step {step}: the numbers are not finite any more; nothing of them is"
        f" saved\n{symptom}\n{details}"
    )


@torch.no_grad()
def diagnose(model: Model, batch: Any, state: State | None) -> str:
    """Describe, line by line, what is not finite; ``batch`` is of the kind that the model reads.

    The gradients that stand in the parameters are those of the last backward pass; where its update
    has been made they are clipped.
    """
    model.eval()  # the training is over; a dropout would look at something else
    lines = []
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            lines.append(f"weights that are not finite: {name}{_gates(parameter, name)}")
    values = (
        _text_values(model, batch, state)
        if isinstance(model, LanguageModel)
        else _pair_values(model, batch)
    )
    if first := next((name for name, value in values if not value.isfinite().all()), None):
        lines.append(f"first in the forward pass: {first}")
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norm = parameter.grad.norm().item()
            lines.append(f"gradient norm {norm:9.3g}  {name}{_gates(parameter.grad, name)}")
    return "\n".join(lines)


def _gates(tensor: Tensor, name: str) -> str:
    """Which gates' rows of an LSTM parameter are not finite."""
    if "lstm." not in name or tensor.isfinite().all():
        return ""
    rows = dict(zip(Gates._fields, tensor.chunk(4), strict=True))
    bad = [gate for gate, part in rows.items() if not part.isfinite().all()]
    return f" (gates {', '.join(bad)})"


def _text_values(model: LanguageModel, batch: Batch, state: State | None) -> Named:
    """The gates, c and h of each layer at each time step, and the logits."""
    inputs = torch.from_numpy(batch.inputs).to(model.device)
    if state is None or batch.starts_epoch:
        state = model.lstm.zero_state(inputs.shape[1])
    else:
        yield "the carried state h_0", state[0]
        yield "the carried state c_0", state[1]
    for t, x_t in enumerate(embed(model.embedding, inputs)):
        output, state, layers = model.lstm.step(x_t, state)
        for layer, gates in enumerate(layers):
            for name, value in gates._asdict().items():
                yield f"{name} of layer {layer} at time step {t}", value
            yield f"c of layer {layer} at time step {t}", state[1][layer]
            yield f"h of layer {layer} at time step {t}", state[0][layer]
        yield f"the logits at time step {t}", model.output(output)


def _pair_values(model: Seq2Seq, batch: PairBatch) -> Named:
    source, lengths, inputs = (
        torch.from_numpy(part).to(model.device)
        for part in (batch.source, batch.source_lengths, batch.inputs)
    )
    yield from _encoder_values(model, source, lengths)
    _, state = model.begin(source, lengths)
    yield "the decoder's first h", state.h
    yield "the decoder's first c", state.c
    for t, ids in enumerate(inputs):
        logits, state = model.step(ids, state)
        for layer, (h, c) in enumerate(zip(state.h, state.c, strict=True)):
            yield f"c of the decoder's layer {layer} at target step {t}", c
            yield f"h of the decoder's layer {layer} at target step {t}", h
        if state.attention is not None:
            yield f"the attention at target step {t}", state.attention
        yield f"the logits at target step {t}", logits


def _encoder_values(model: Seq2Seq, source: Tensor, lengths: Tensor) -> Named:
    """The outputs of the encoder's last layer, by source step; zeros in padding."""
    encoder = model.encoder
    x = embed(encoder.embedding, source)
    for t, output in enumerate(encoder.lstm(x, None, lengths)[0]):
        yield f"the encoder's output at source step {t}", output
