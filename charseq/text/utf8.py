"""What to say of bytes that are no UTF-8."""

import codecs

from charseq.errors import CharseqError

GZIP = b"\x1f\x8b"


ZEROS, FEWEST = 0.2, 64  # share of so many bytes that text in UTF-8 has nowhere near


def refuse_zeros(where: str, beginning: bytes) -> None:
    """Refuse UTF-16 without a mark: half of its bytes may be zeros, which are UTF-8 too.

    Raises:
        CharseqError: what ``beginning`` has so many of are zeros.
    """
    if len(beginning) >= FEWEST and beginning.count(0) > ZEROS * len(beginning):
        order = "LE" if beginning[1::2].count(0) >= beginning[::2].count(0) else "BE"
        raise CharseqError(
            f"{where}: has a zero in every few bytes, as UTF-16 has; convert it: iconv -f"
            f" UTF-16{order} -t UTF-8"
        )


def not_utf8(
    where: str, error: UnicodeDecodeError, advice: str, begins_at: int = 0
) -> CharseqError:
    """The refusal, which has the byte, where it is, and what to do.

    Args:
        where: the file, and the line where that is known.
        advice: what to do, where the first bytes do not say what the file is.
        begins_at: the byte of the file at which ``error.object`` begins.
    """
    offset, data = begins_at + error.start, error.object
    if offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        advice = "it begins as UTF-16 does; convert it: iconv -f UTF-16 -t UTF-8"
    if offset == 1 and data.startswith(GZIP):
        advice = "it begins as a gzip archive does; unpack it first, with gzip -dc"
    return CharseqError(
        f"{where}: byte 0x{data[error.start]:02x} at byte offset {offset} is not UTF-8 "
        f"({error.reason}); {advice}"
    )
