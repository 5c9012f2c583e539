"""Downloading one file whose size and sha256 are known: resumed, retried, bounded, verified."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charseq._version import __version__
from charseq.errors import CharseqError
from charseq.files import to_disk
from charseq.progress import Progress
from charseq.text.characters import escape
from charseq.text.read import file_sha256

ATTEMPTS = 4
FIRST_PAUSE = 0.5  # seconds; each further pause is twice as long
TIMEOUT = 30.0  # seconds without a byte
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Download:
    """Where a file comes from, and how to know that it is the right one."""

    url: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        return self.url.rpartition("/")[2]


def wrong(source: Download, path: Path) -> str | None:
    """Why a file is not the one that ``source`` describes; None when it is."""
    size = path.stat().st_size
    if size != source.size:
        return f"it has {size:,} bytes where {source.size:,} are right"
    sha256 = file_sha256(path)
    if sha256 != source.sha256:
        return f"its sha256 is {sha256} where {source.sha256} is right"
    return None


def download(
    source: Download,
    target: Path,
    *,
    progress: Progress,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Bring a file to ``target``, whose lock the caller holds (``cache.locked``).

    What arrives is kept in ``target.part``, also when this is interrupted, and the next call goes
    on from there. Never more than ``source.size`` bytes are written. Proxies are taken from the
    environment.

    Raises:
        CharseqError: the server refuses, the transfer broke ``ATTEMPTS`` times, or what came is not
            the right file (it is removed).
    """
    part = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        if attempt:
            wait(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            _transfer(source, part, progress)
            break
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"the server answered {error.code} {escape(error.reason)}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # start over
            elif 400 <= error.code < 500 and error.code not in _TRY_AGAIN:
                raise _failed(source, reason) from None
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            reason = escape(str(error)) or type(error).__name__
    else:
        raise _failed(source, f"{reason} ({ATTEMPTS} attempts); `charseq data get` continues it")
    if why := wrong(source, part):
        part.unlink()
        raise CharseqError(
            f"{source.url}: this is not the expected file: {why}; it was removed. Try again, or "
            "put the right file into a folder and name that in CHARSEQ_DATA_MIRROR"
        )
    with part.open("rb+") as file:
        to_disk(file)
    part.replace(target)


_TRY_AGAIN = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS)


def _failed(source: Download, reason: str) -> CharseqError:
    return CharseqError(
        f"{source.url}: could not be downloaded: {reason}. Without a network, put the file into a "
        "folder and name that in CHARSEQ_DATA_MIRROR"
    )


def _transfer(source: Download, part: Path, progress: Progress) -> None:
    """One attempt to bring ``part`` to its full size; raises OSError when the transfer breaks."""
    have = part.stat().st_size if part.exists() else 0
    if have > source.size:
        have = 0
    if have == source.size:
        return
    opener = urllib.request.build_opener()
    opener.addheaders = [("User-Agent", f"charseq/{__version__}")]
    if have:
        opener.addheaders.append(("Range", f"bytes={have}-"))
    with opener.open(source.url, timeout=TIMEOUT) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server sends the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise ConnectionError("the server sent another part of the file than was asked for")
        with part.open("ab" if have else "wb") as file:
            # One byte more than is missing tells a file that is too large.
            while data := response.read1(min(CHUNK_BYTES, source.size - have + 1)):
                have += len(data)
                if have > source.size:
                    part.unlink()
                    raise CharseqError(
                        f"{source.url}: this is not the expected file: it has more than "
                        f"{source.size:,} bytes; what came of it was removed"
                    )
                file.write(data)
                progress(have, source.size)
    if have < source.size:
        raise ConnectionError(f"the transfer broke off after {have:,} of {source.size:,} bytes")
