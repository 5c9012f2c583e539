"""What ``charseq bench`` trains on: the data of the configuration, or random ones like it.

The lengths of pairs and the number of symbols decide much of a speed, so the configuration's own
data are taken where they are on this machine. A speed can be asked for without them, too.
"""

import random
from pathlib import Path

from charseq.config import Config
from charseq.config.schema import LMConfig
from charseq.config.schema.lm import TextDataConfig
from charseq.config.schema.seq2seq import PairDataConfig
from charseq.errors import CharseqError
from charseq.text.datasets import source_path

SYMBOLS = "".join(map(chr, range(ord("0"), ord("0") + 65)))
BATCHES = 20
SOURCE_LENGTH = (20.0, 6.0)  # mean and spread: about those of dates
TARGET_LENGTH = 10


def with_data(config: Config, folder: Path) -> tuple[Config, str]:
    """The configuration with data that are here, in ``folder`` if random; what they are, in words.

    Only the training data remain: nothing is evaluated.
    """
    if isinstance(config, LMConfig):
        if _is_here(config.data.text):
            update = {"valid_text": None, "test_text": None}
            data = config.data.model_copy(update=update)
            return config.model_copy(update={"data": data}), config.data.text
        text = _random_text(folder / "random.txt", config)
        return config.model_copy(update={"data": text}), f"random text of {len(SYMBOLS)} symbols"
    if _is_here(config.data.train):
        pairs = config.data.model_copy(update={"valid": None, "test": None})
        return config.model_copy(update={"data": pairs}), config.data.train
    pairs = _random_pairs(folder / "random.tsv", config.train.batch_size)
    told = f"random pairs: about {SOURCE_LENGTH[0]:g} symbols to {TARGET_LENGTH}"
    return config.model_copy(update={"data": pairs}), f"{told}, of {len(SYMBOLS)}"


def _is_here(name: str) -> bool:
    try:
        return source_path(name).exists()
    except CharseqError:
        return False


def _random_text(path: Path, config: LMConfig) -> TextDataConfig:
    train = config.train
    length = max(10_000, train.batch_size * train.seq_len * BATCHES)
    draw = random.Random(0)  # noqa: S311
    path.write_text(SYMBOLS + "".join(draw.choices(SYMBOLS, k=length)))
    return TextDataConfig(text=str(path), vocabulary=config.data.vocabulary, split=(1.0, 0.0, 0.0))


def _random_pairs(path: Path, batch_size: int) -> PairDataConfig:
    draw = random.Random(0)  # noqa: S311

    def some(length: float) -> str:
        return "".join(draw.choices(SYMBOLS, k=max(3, round(length))))

    lines = [
        f"{some(draw.gauss(*SOURCE_LENGTH))}\t{some(TARGET_LENGTH)}\n"
        for _ in range(max(1000, batch_size * BATCHES))
    ]
    path.write_text("".join(lines))
    # Two short sources may be the same one.
    return PairDataConfig(train=str(path), split=(1.0, 0.0, 0.0), errors="skip")
