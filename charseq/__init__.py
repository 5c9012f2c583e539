"""charseq: character-level sequence models with an LSTM you can read.

>>> from charseq import load
>>> model = load("runs/stdlib")            # a run folder or a checkpoint
>>> print(model.sample("def ", length=200))

The public names are imported when they are first used, so that ``charseq --help`` and a mistake in
a configuration come back without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charseq._version import __version__

if TYPE_CHECKING:
    from charseq.config import Config
    from charseq.errors import CharseqError
    from charseq.inference.load import load
    from charseq.lstm.layer import LSTM
    from charseq.training.loop import train

__all__ = ["LSTM", "CharseqError", "Config", "__version__", "load", "train"]

_HOMES = {
    "Config": "charseq.config",
    "CharseqError": "charseq.errors",
    "LSTM": "charseq.lstm.layer",
    "load": "charseq.inference.load",
    "train": "charseq.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'charseq' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
