"""Small models of pairs for the tests of the commands."""

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from charseq.config import config_from_json, dump_config
from charseq.config.schema import Seq2SeqConfig
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols
from charseq.training.loop import train

LONGEST = 12  # symbols of a target


def symbols(text: str, separator: str = "") -> Symbols:
    return Symbols(separator, tuple(sorted(text.split(separator) if separator else text)))


LETTERS = PairVocab(symbols("abcdefé "), symbols("ABCDEFÉ"))
CONTROLS = PairVocab(symbols("abc"), symbols("\x1b\x07"))
PHONES = PairVocab(symbols("abcd"), symbols("a b t͡ʃ eː", " "), features=("N", "PL", "V"))


def make_run(
    folder: Path,
    vocab: PairVocab = LETTERS,
    *,
    seed: int = 0,
    endless: bool = False,
    **model: object,
) -> str:
    """A model with random weights; the file that it would have been trained on is not there."""
    # What has not ended comes last in a beam, so that a wider one finds something that has.
    search: dict[str, object] = {"beam": 1 if endless else 3, "seed": 3}
    data = folder / "pairs.tsv"
    config = make_config(data, vocab, model={"hidden_size": 8, **model}, sample=search)
    torch.manual_seed(seed)
    network = build_model(config, vocab)
    # Large weights make outputs that differ; a small bias of the end makes them longer.
    tensors = {WEIGHTS + name: 6 * parameter for name, parameter in network.named_parameters()}
    tensors[WEIGHTS + "decoder.output.bias"].data[0] -= 100 if endless else 3
    extra = {"progress": {"step": 1500}}
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder / "best.safetensors", Checkpoint(config, vocab, tensors, extra))
    (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    return str(folder)


def make_config(data: Path, vocab: PairVocab, **sections: dict[str, object]) -> Seq2SeqConfig:
    settings: dict[str, Any] = {
        "task": "seq2seq",
        "data": {
            "train": str(data),
            "split": [0.6, 0.4, 0.0],
            "max_target_length": LONGEST,
            "target_separator": vocab.target.separator,
            "features_column": 3 if vocab.features else None,
        },
        "sample": {"beam": 3, "seed": 3},
        **sections,
    }
    config = config_from_json(settings, where="a test")
    assert isinstance(config, Seq2SeqConfig)
    return config


@lru_cache(maxsize=1)
def reversals() -> list[str]:
    """Lines of a text and itself from its end."""
    generator = random.Random(0)
    texts = {"".join(generator.choices("abc", k=generator.randint(1, 4))) for _ in range(300)}
    return [f"{text}\t{text[::-1]}" for text in sorted(texts)]


def train_reversal(folder: Path) -> str:
    """A model that has half learned to write a text from its end, in a second or two."""
    data = folder / "reversals.tsv"
    data.write_text("\n".join(reversals()) + "\n")
    config = make_config(
        data,
        LETTERS,
        model={"hidden_size": 32},
        train={"max_steps": 70, "batch_size": 32, "learning_rate": 0.01, "eval_every": 70},
    )
    for _ in train(config, run=folder / "run"):
        pass
    return str(folder / "run")
