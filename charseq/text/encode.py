"""A text file as a memory-mapped array of ids, encoded once and kept in the cache folder.

The cached file is a plain ``.npy``. Its name is a fingerprint of everything that decides its
content, so that it is never stale: another text, vocabulary or setting gives another name.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from charseq.errors import CharseqError
from charseq.text.cache import atomic_write, cache_folder, locked
from charseq.text.characters import escape
from charseq.text.read import Errors, Newlines, beside, changed, file_sha256, read_chunks
from charseq.text.vocab import Ids, Unknown, UnknownCharacterError, Vocab

FORMAT = 1  # raise it when the same settings come to give other ids


def encode_file(
    path: Path,
    vocab: Vocab,
    *,
    errors: Errors = "raise",
    newlines: Newlines = "keep",
    unknown: Unknown = "error",
    sha256: str | None = None,
) -> Ids:
    """The ids of a text file, ``(n,)``: a read-only memory map of the vocabulary's dtype.

    When the cache folder cannot be written, or is full, the ids go to an unnamed temporary file
    that vanishes with the array; the text is then encoded again the next time.

    Args:
        sha256: of the file's bytes, where the caller has just read them; saves a pass.

    Raises:
        CharseqError: the file cannot be read or decoded, holds a character outside the vocabulary
            (with its place in the file), changed while it was read, or there is no room anywhere.
    """
    sha256 = sha256 or file_sha256(path)
    name = fingerprint(sha256, vocab, errors, newlines, unknown)
    target = cache_folder() / "encoded" / f"{name}.npy"

    def write(file: BinaryIO) -> int:
        return _write_ids(file, path, vocab, errors, newlines, unknown, sha256)

    if (ids := _open(target, vocab)) is not None:
        return ids
    try:
        with locked(target):
            if _open(target, vocab) is None:  # nobody wrote it while we waited
                with atomic_write(target) as file:
                    write(file)
            ids = _open(target, vocab)
    except OSError:  # of the cache folder: those of the text are CharseqErrors
        ids = None
    if ids is not None:
        return ids
    try:
        with tempfile.TemporaryFile() as unnamed:
            count = write(unnamed)
            return np.memmap(unnamed, vocab.dtype, "r", offset=unnamed.tell(), shape=(count,))
    except OSError as error:
        raise CharseqError(
            f"{escape(str(path))}: no room for the encoded text: {error.strerror}; set "
            "CHARSEQ_CACHE_DIR to a folder that can be written"
        ) from None


def fingerprint(
    sha256: str, vocab: Vocab, errors: Errors, newlines: Newlines, unknown: Unknown
) -> str:
    """A name for the ids of a text: the sha256, in hex, of everything that decides them."""
    parts = [FORMAT, sha256, vocab.to_json(), errors, newlines, unknown]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_ids(
    file: BinaryIO,
    path: Path,
    vocab: Vocab,
    errors: Errors,
    newlines: Newlines,
    unknown: Unknown,
    sha256: str,
) -> int:
    """Write ids as ``.npy``, chunk by chunk; leaves the file at the first, returns their number."""
    digest = hashlib.sha256()
    count = 0
    _write_header(file, vocab, count)
    chunks = read_chunks(path, errors=errors, newlines=newlines, observe=digest.update)
    encoded = (vocab.encode(chunk, unknown=unknown) for chunk in chunks)
    try:
        for ids in beside(encoded, lambda ids: file.write(ids.data)):
            count += len(ids)
    except UnknownCharacterError:  # placed in its chunk; name its place in the file
        digest = hashlib.sha256()
        chunks = read_chunks(path, errors=errors, newlines=newlines, observe=digest.update)
        error = vocab.unknown_error(chunks, unknown, escape(str(path)))
        if error is not None and digest.hexdigest() == sha256:
            raise error from None
        raise changed(path) from None
    if digest.hexdigest() != sha256:
        raise changed(path)
    file.seek(0)
    _write_header(file, vocab, count)  # numpy pads headers, so that a length can grow in place
    return count


def _write_header(file: BinaryIO, vocab: Vocab, count: int) -> None:
    descr = np.lib.format.dtype_to_descr(vocab.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def _open(path: Path, vocab: Vocab) -> Ids | None:
    """Map a cached file; None when it is missing, cut short, or not what its name promises."""
    try:
        ids = np.lib.format.open_memmap(path, mode="r")
        complete = path.stat().st_size == ids.offset + ids.nbytes
    except (OSError, ValueError):
        return None
    return ids if complete and ids.ndim == 1 and ids.dtype == vocab.dtype else None
