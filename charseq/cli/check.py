"""What a configuration names and is not there, found before anything begins."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charseq.errors import CharseqError

if TYPE_CHECKING:
    from charseq.config import Config
    from charseq.config.schema.seq2seq import PairDataConfig


def missing_files(config: "Config") -> Iterator[tuple[str, str]]:
    """Each setting of the data that names a file, a set or a column that is not there; why not."""
    from charseq.config.schema.seq2seq import PairDataConfig
    from charseq.text.characters import escape
    from charseq.text.datasets import PREFIX, find_files
    from charseq.text.look.columns import missing_columns
    from charseq.text.look.first_lines import first_lines
    from charseq.text.read import expand, read_beginning

    wrong: list[tuple[str, str]] = []
    for key in ("text", "valid_text", "test_text", "train", "valid", "test"):
        name = getattr(config.data, key, None)
        if name is None:
            continue
        path = expand(name)
        try:
            if name.startswith(PREFIX):
                find_files(name.removeprefix(PREFIX))
            elif isinstance(config.data, PairDataConfig):
                lacking = missing_columns(first_lines(path), config.data)
                wrong += [(f"data.{one}", f"{escape(name)}: {why}") for one, why in lacking]
            else:
                read_beginning(path, config.data.errors)
        except CharseqError as error:
            wrong.append((f"data.{key}", str(error)))
    yield from wrong or _wrong_inside(config)


def wrong_origin(config: "Config") -> Iterator[tuple[str, str]]:
    """Why a training cannot begin with the checkpoint of train.init_from, if it cannot."""
    if config.train.init_from is not None:
        from charseq.models.init_from import read_origin

        try:
            read_origin(config.train.init_from, config)
        except CharseqError as error:
            yield "train.init_from", str(error).removeprefix("train.init_from: ")


def _wrong_inside(config: "Config") -> Iterator[tuple[str, str]]:
    """What reading the data to its end finds, as a training would; not of named sets of texts."""
    from charseq.config.schema.seq2seq import Seq2SeqConfig
    from charseq.text.corpus import Streams, load_corpus
    from charseq.text.datasets import PREFIX
    from charseq.text.pairs import load_pairs

    key = "data.train" if isinstance(config, Seq2SeqConfig) else "data.text"
    try:
        if isinstance(config, Seq2SeqConfig):
            if _are_here(config.data):
                load_pairs(config.data)
        elif not any(
            name is not None and name.startswith(PREFIX)
            for name in (config.data.text, config.data.valid_text, config.data.test_text)
        ):
            Streams(load_corpus(config.data).train, config.train.batch_size, config.train.seq_len)
    except CharseqError as error:
        for line in str(error).splitlines():
            yield key, line


def _are_here(data: "PairDataConfig") -> bool:
    """Whether every named set has been fetched."""
    from charseq.text.datasets import source_path

    try:
        for name in (data.train, data.valid, data.test):
            if name is not None:
                source_path(name)
    except CharseqError:
        return False
    return True
