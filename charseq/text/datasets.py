"""Named text sets: what ``dataset:NAME`` in a configuration stands for, and where it comes from."""

import difflib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charseq.errors import CharseqError
from charseq.text.cache import atomic_write, cache_folder, locked
from charseq.text.characters import escape
from charseq.text.download import Download, Progress, download, wrong
from charseq.text.read import expand
from charseq.text.stdlib_source import stdlib_path, stdlib_text

PREFIX = "dataset:"


@dataclass(frozen=True)
class Dataset:
    """A text set.

    Attributes:
        download: where its file comes from; None for a text that this machine has already.
    """

    name: str
    description: str
    licence: str
    download: Download | None


DATASETS = (
    Dataset(
        name="tinyshakespeare",
        description="40,000 lines of Shakespeare's plays, from char-rnn (Karpathy 2015)",
        licence="public domain",
        download=Download(
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            size=1_115_394,
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    Dataset(
        name="stdlib",
        description="the source of the standard library of the Python that runs charseq",
        licence="PSF-2.0",
        download=None,
    ),
)


def source_path(source: str) -> Path:
    """The file of a text as a configuration names it: a path, or ``dataset:NAME``.

    Raises:
        CharseqError: the text set is unknown, or is not on this machine.
    """
    if source.startswith(PREFIX):
        return dataset_path(source.removeprefix(PREFIX))
    return expand(source)


def find_dataset(name: str) -> Dataset:
    """The text set of that name.

    Raises:
        CharseqError: there is none; the nearest name is offered.
    """
    names = [dataset.name for dataset in DATASETS]
    if name in names:
        return DATASETS[names.index(name)]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    raise CharseqError(f"{PREFIX}{escape(name)}: there is no text set of that name; {hint}")


def dataset_path(name: str) -> Path:
    """The verified file of a text set, from the cache folder or ``$CHARSEQ_DATA_MIRROR``.

    Never uses the network: a training does not download by surprise.

    Raises:
        CharseqError: the set is unknown, is not here (says which command gets it), or the mirror's
            file is not the right one.
    """
    dataset = find_dataset(name)
    if dataset.download is None:
        return _stdlib()
    if path := cached_path(dataset) or _mirrored(dataset.name, dataset.download):
        return path
    raise CharseqError(
        f"{PREFIX}{name}: is not on this machine yet; `charseq data get {name}` downloads it"
    )


def get_dataset(
    name: str,
    *,
    progress: Progress = lambda *_: None,
    wait: Callable[[float], object] = time.sleep,
) -> Path:
    """Bring a text set into the cache folder, from ``$CHARSEQ_DATA_MIRROR`` or its URL.

    Two that get the same set at once do one download: the second waits for the first.

    Args:
        progress: is called with the bytes that are here and the bytes in all.
        wait: sleeps between two attempts.

    Raises:
        CharseqError: the set is unknown, the download failed or was wrong, or the cache folder
            cannot be written.
    """
    dataset = find_dataset(name)
    if dataset.download is None:
        return _stdlib()
    target = _target(name, dataset.download)
    try:
        with locked(target):
            if cached_path(dataset) is None:
                if mirrored := _mirrored(name, dataset.download):
                    with atomic_write(target) as file:
                        file.write(mirrored.read_bytes())
                else:
                    download(dataset.download, target, progress=progress, wait=wait)
    except OSError as error:
        raise _unwritable(error) from None
    return target


def cached_path(dataset: Dataset) -> Path | None:
    """The set's verified file in the cache folder, or None."""
    if dataset.download is None:
        path = stdlib_path(_folder())
        return path if path.is_file() else None
    path = _target(dataset.name, dataset.download)
    return path if path.is_file() and not wrong(dataset.download, path) else None


def _folder() -> Path:
    return cache_folder() / "datasets"


def _target(name: str, source: Download) -> Path:
    return _folder() / name / source.filename


def _stdlib() -> Path:
    try:
        return stdlib_text(_folder())
    except OSError as error:
        raise _unwritable(error) from None


def _mirrored(name: str, source: Download) -> Path | None:
    """The set's verified file in ``$CHARSEQ_DATA_MIRROR``, or None when it holds none."""
    mirror = os.environ.get("CHARSEQ_DATA_MIRROR")
    if not mirror:
        return None
    folder = expand(mirror)
    for path in (folder / name / source.filename, folder / source.filename):
        if path.is_file():
            if why := wrong(source, path):
                raise CharseqError(
                    f"{escape(str(path))}: this is not the file of {PREFIX}{name}: {why}; mend "
                    "CHARSEQ_DATA_MIRROR, or unset it"
                )
            return path
    return None


def _unwritable(error: OSError) -> CharseqError:
    return CharseqError(
        f"{escape(str(cache_folder()))}: the cache folder cannot be written: {error.strerror}; "
        "set CHARSEQ_CACHE_DIR to another"
    )
