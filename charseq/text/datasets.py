"""Named text sets: what ``dataset:NAME`` and ``dataset:NAME/FILE`` stand for, and where it is."""

import difflib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from charseq.errors import CharseqError
from charseq.progress import Progress
from charseq.text.cache import atomic_write, cache_folder, locked
from charseq.text.characters import escape
from charseq.text.download import Download, download, wrong
from charseq.text.g2p_files import CMUDICT_G2P, SIGMORPHON2021_G2P
from charseq.text.read import expand
from charseq.text.stdlib_source import stdlib_path, stdlib_text

PREFIX = "dataset:"


@dataclass(frozen=True)
class Dataset:
    """A text set.

    Attributes:
        files: where its files come from; none for a text that this machine has already.
    """

    name: str
    description: str
    licence: str
    files: tuple[Download, ...]


DATASETS = (
    Dataset(
        name="tinyshakespeare",
        description="40,000 lines of Shakespeare's plays, from char-rnn (Karpathy 2015)",
        licence="public domain",
        files=(
            Download(
                url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                size=1_115_394,
                sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
    ),
    Dataset(
        name="stdlib",
        description="the source of the standard library of the Python that runs charseq",
        licence="PSF-2.0",
        files=(),
    ),
    Dataset(
        name="sigmorphon2021_g2p",
        description="words and their phones: Adyghe, Greek, Italian (800 to train on), French, "
        "Korean (8,000); SIGMORPHON 2021, task 1 (Ashby 2021)",
        licence="CC BY-SA 3.0",
        files=SIGMORPHON2021_G2P,
    ),
    Dataset(
        name="cmudict_g2p",
        description="113,438 English words and their phones, 12,000 more to test on; CMUdict as "
        "split for Phonetisaurus (Novak 2017)",
        licence="BSD",
        files=CMUDICT_G2P,
    ),
)


def source_path(source: str) -> Path:
    """The file that a configuration names: a path, ``dataset:NAME`` or ``dataset:NAME/FILE``.

    Raises:
        CharseqError: the text set or its file is unknown, or is not on this machine.
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
    raise CharseqError(
        f"{PREFIX}{escape(name)}: there is no text set of that name; {_hint(name, names)}"
    )


def find_files(name: str) -> tuple[Dataset, tuple[Download, ...]]:
    """The text set of ``NAME`` or ``NAME/FILE``, and all its files or the one that is named.

    Raises:
        CharseqError: there is no such set or file; the nearest name is offered.
    """
    set_name, slash, filename = name.partition("/")
    dataset = find_dataset(set_name)
    if not slash:
        return dataset, dataset.files
    for file in dataset.files:
        if file.filename == filename:
            return dataset, (file,)
    names = [file.filename for file in dataset.files]
    hint = _hint(filename, names) if names else f"name {PREFIX}{set_name} alone"
    raise CharseqError(f"{PREFIX}{escape(name)}: {set_name} has no file of that name; {hint}")


def _hint(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def dataset_path(name: str) -> Path:
    """The verified file of a text set, from the cache folder or ``$CHARSEQ_DATA_MIRROR``.

    Never uses the network: a training does not download by surprise.

    Args:
        name: ``NAME``, or ``NAME/FILE`` for one of its files.

    Raises:
        CharseqError: the set or file is unknown, the set has several files and none is named, the
            file is not here (says which command gets it), or the mirror's file is not the right
            one.
    """
    dataset, files = find_files(name)
    if not dataset.files:
        return _stdlib()
    if len(files) > 1:
        raise CharseqError(
            f"{PREFIX}{name}: has {len(files)} files; name one of them, such as "
            f"{PREFIX}{name}/{files[0].filename} (`charseq data list` shows all)"
        )
    if path := cached_path(dataset, files[0]) or _mirrored(dataset, files[0]):
        return path
    raise CharseqError(
        f"{PREFIX}{name}: is not on this machine yet; `charseq data get {dataset.name}` "
        "downloads it"
    )


def get_dataset(
    name: str,
    *,
    progress: Progress = lambda *_: None,
    wait: Callable[[float], object] = time.sleep,
) -> list[Path]:
    """Bring a text set's files into the cache folder, from ``$CHARSEQ_DATA_MIRROR`` or their URLs.

    Two that get the same file at once do one download: the second waits for the first. Where a file
    fails, those before it stay.

    Args:
        name: ``NAME``, or ``NAME/FILE`` for one of its files.
        progress: is called with the bytes that are here and the bytes in all, of all files.
        wait: sleeps between two attempts.

    Raises:
        CharseqError: the set or file is unknown, the download failed or was wrong, or the cache
            folder cannot be written.
    """
    dataset, files = find_files(name)
    if not dataset.files:
        return [_stdlib()]
    total, done = sum(file.size for file in files), 0
    paths = []
    for file in files:

        def of_all(here: int, _: int, before: int = done) -> None:
            progress(before + here, total)

        paths.append(_get(dataset, file, of_all, wait))
        done += file.size
        progress(done, total)
    return paths


def _get(
    dataset: Dataset, file: Download, progress: Progress, wait: Callable[[float], object]
) -> Path:
    target = _target(dataset, file)
    try:
        with locked(target):
            if cached_path(dataset, file) is None:
                if mirrored := _mirrored(dataset, file):
                    with atomic_write(target) as copy:
                        copy.write(mirrored.read_bytes())
                else:
                    download(file, target, progress=progress, wait=wait)
    except OSError as error:
        raise _unwritable(error) from None
    return target


def cached_path(dataset: Dataset, file: Download | None = None) -> Path | None:
    """The verified ``file`` of a set in the cache folder, or None.

    Of a set of one file, or of a text of this machine, the file need not be named.
    """
    if not dataset.files:
        path = stdlib_path(_folder())
        return path if path.is_file() else None
    file = file or dataset.files[0]
    path = _target(dataset, file)
    return path if path.is_file() and not wrong(file, path) else None


def _folder() -> Path:
    return cache_folder() / "datasets"


def _target(dataset: Dataset, file: Download) -> Path:
    return _folder() / dataset.name / file.filename


def _stdlib() -> Path:
    try:
        return stdlib_text(_folder())
    except OSError as error:
        raise _unwritable(error) from None


def _mirrored(dataset: Dataset, file: Download) -> Path | None:
    """The verified file of a set in ``$CHARSEQ_DATA_MIRROR``, or None when it holds none."""
    mirror = os.environ.get("CHARSEQ_DATA_MIRROR")
    if not mirror:
        return None
    folder = expand(mirror)
    for path in (folder / dataset.name / file.filename, folder / file.filename):
        if path.is_file():
            if why := wrong(file, path):
                raise CharseqError(
                    f"{escape(str(path))}: this is not the file of {PREFIX}{dataset.name}: {why}; "
                    "mend CHARSEQ_DATA_MIRROR, or unset it"
                )
            return path
    return None


def _unwritable(error: OSError) -> CharseqError:
    return CharseqError(
        f"{escape(str(cache_folder()))}: the cache folder cannot be written: {error.strerror}; "
        "set CHARSEQ_CACHE_DIR to another"
    )
