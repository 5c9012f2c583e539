"""charseq: character-level sequence models with an LSTM you can read.

>>> from charseq import load_seq2seq
>>> model = load_seq2seq("runs/dates")            # a run folder or a checkpoint
>>> [one.outputs[0].text for one in model.convert(["3 May 1979", "le 14 juillet 2002"])]
['1979-05-03', '2002-07-14']

The public names are imported when they are first used, so that ``charseq --help`` and a mistake in
a configuration come back without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charseq._version import __version__

if TYPE_CHECKING:
    from charseq.config import Config, load_config
    from charseq.errors import CharseqError
    from charseq.inference.load import load, load_language_model, load_seq2seq
    from charseq.lstm.layer import LSTM
    from charseq.models.seq2seq import Seq2Seq
    from charseq.training.loop import train

__all__ = [
    "LSTM",
    "CharseqError",
    "Config",
    "Seq2Seq",
    "__version__",
    "load",
    "load_config",
    "load_language_model",
    "load_seq2seq",
    "train",
]

_HOMES = {
    "Config": "charseq.config",
    "CharseqError": "charseq.errors",
    "LSTM": "charseq.lstm.layer",
    "Seq2Seq": "charseq.models.seq2seq",
    "load": "charseq.inference.load",
    "load_config": "charseq.config",
    "load_language_model": "charseq.inference.load",
    "load_seq2seq": "charseq.inference.load",
    "train": "charseq.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'charseq' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
