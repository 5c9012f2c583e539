"""Fine-tuning: a new model begins with the weights of a trained one, symbol by symbol.

What belongs to a symbol is found by the symbol, as ids move when a vocabulary grows
(``text/grow.py``): rows of embeddings and of the output layer, columns of a weight that reads
one-hot vectors. A symbol that the trained model lacks has the random weights of a new one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from charseq.config import Config
from charseq.config.scalars import write_scalar
from charseq.errors import CharseqError
from charseq.lstm.layer import LSTM
from charseq.models.build import Model
from charseq.models.checkpoint import Checkpoint
from charseq.models.checkpoint_file import (
    AnyVocab,
    CheckpointError,
    find_checkpoint,
    read_file,
    step_of,
)
from charseq.models.language_model import LanguageModel
from charseq.text.characters import escape
from charseq.text.grow import Side, growth
from charseq.text.read import expand

# What decides which weights there are, and their shapes but for the symbols.
SHAPES = (
    ("model", "hidden_size"),
    ("model", "num_layers"),
    ("model", "embedding_size"),
    ("model", "bidirectional"),
    ("model", "attention"),
    ("model", "input_feeding"),
    ("model", "coverage"),
    ("model", "copy"),
)
# How data becomes symbols: read otherwise, they would not be the same ones.
READING = (
    ("data", "vocabulary"),
    ("data", "source_separator"),
    ("data", "target_separator"),
    ("data", "normalize"),
    ("data", "reverse_source"),
)


@dataclass(frozen=True)
class Origin:
    """A trained model that another begins with: what evaluation uses of its checkpoint."""

    path: Path
    sha256: str
    step: int | None
    config: Config
    vocab: AnyVocab
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Taken:
    """What a model has of the one that it began with; in its checkpoints as ``init_from``."""

    checkpoint: str
    sha256: str
    step: int | None
    tensors: int
    grown: int  # tensors that are wider, for new symbols
    symbols: dict[str, int]  # taken, by side: text, or source and target
    new_symbols: dict[str, tuple[str, ...]]


def read_origin(name: str, config: Config) -> Origin:
    """Read the checkpoint, or the best one of the run folder, that a training shall begin with.

    Raises:
        CharseqError: there is none, or it does not fit the configuration; the text has every
            setting that differs.
    """
    try:
        path = find_checkpoint(expand(name))
        file = read_file(path).averaged()
        weights = Checkpoint.of(file).weights(str(path))
    except CheckpointError as error:
        raise CheckpointError(f"train.init_from: {error}") from None
    if differences := list(_differences(file.config, config)):
        raise CharseqError(
            f"train.init_from: a training cannot begin with {escape(str(path))}:"
            f" {'; '.join(differences)}; set that as it is there, train with that run's config.yaml"
            " and --set what is new, or leave train.init_from out"
        )
    return Origin(path, file.sha256, step_of(file.extra), file.config, file.vocab, weights)


def _differences(there: Config, here: Config) -> Iterable[str]:
    """Each setting that would have to be the same, with both of its values."""
    if there.task != here.task:
        yield f"task is {there.task} there and {here.task} here"
        return
    before, now = there.model_dump(), here.model_dump()
    for section, name in (*SHAPES, *READING):
        old, new = before[section].get(name), now[section].get(name)
        if name == "copy" and new == "auto":
            continue  # the new one copies if the trained one does
        if old != new:
            values = f"{write_scalar(old)} there and {write_scalar(new)} here"
            yield f"{section}.{name} is {values}"


@torch.no_grad()
def begin_with(model: Model, vocab: AnyVocab, origin: Origin) -> Taken:
    """Give a new model, on the CPU, the weights of ``origin``. ``vocab``: that of the new model."""
    sides = growth(vocab, origin.vocab)
    places = _places(model)
    weights = {
        name: _merged(new, origin.weights[name], places.get(name), sides)
        for name, new in model.named_parameters()
    }
    model.load_state_dict(weights)
    return Taken(
        checkpoint=str(origin.path),
        sha256=origin.sha256,
        step=origin.step,
        tensors=len(weights),
        grown=sum(weights[name].shape != old.shape for name, old in origin.weights.items()),
        symbols={name: side.taken for name, side in sides.items()},
        new_symbols={name: side.new for name, side in sides.items()},
    )


class _Place(NamedTuple):
    """Where the symbols of a side stand in a weight: along ``dim``, from ``start`` on."""

    side: str
    dim: int
    start: int = 0


def _places(model: Model) -> dict[str, _Place]:
    """The weights that have something for each symbol."""
    if isinstance(model, LanguageModel):
        return _reading("", model, "text") | _writing("", "text")
    places = _reading("encoder.", model.encoder, "source")
    places |= _reading("decoder.", model.decoder, "target") | _writing("decoder.", "target")
    if model.decoder.pointer is not None and model.decoder.embedding is None:
        # Its input is [context; h; x], and x is a one-hot vector.
        start = 2 * model.decoder.lstm.hidden_size
        places["decoder.pointer.switch.weight"] = _Place("target", 1, start)
    return places


def _reading(prefix: str, part: Any, side: str) -> dict[str, _Place]:
    if part.embedding is not None:
        return {f"{prefix}embedding.weight": _Place(side, 0)}
    # With input feeding the columns of h~ follow those of the symbols.
    lstm: LSTM = part.lstm
    ways = ("", "_reverse") if lstm.bidirectional else ("",)
    return {f"{prefix}lstm.weight_ih_l0{way}": _Place(side, 1) for way in ways}


def _writing(prefix: str, side: str) -> dict[str, _Place]:
    return {f"{prefix}output.{name}": _Place(side, 0) for name in ("weight", "bias")}


def _merged(new: Tensor, old: Tensor, place: _Place | None, sides: dict[str, Side]) -> Tensor:
    """The old weight; at the places of new symbols the new one."""
    if place is None:
        return old
    ids, dim, start = sides[place.side].ids_before, place.dim, place.start
    known = np.flatnonzero(ids >= 0)
    behind = np.arange(start + len(ids), new.shape[dim])  # what has nothing to do with symbols
    moved = new.shape[dim] - old.shape[dim]
    to = np.concatenate([np.arange(start), start + known, behind])
    source = np.concatenate([np.arange(start), start + ids[known], behind - moved])
    values = old.index_select(dim, torch.from_numpy(source)).to(new.dtype)
    return new.clone().index_copy_(dim, torch.from_numpy(to), values)
