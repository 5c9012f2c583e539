"""What to say of bytes that are no UTF-8."""

import codecs

from charseq.errors import CharseqError

GZIP = b"\x1f\x8b"


ZEROS = 0.2  # share of the bytes that are zeros in UTF-16 of Latin letters, and never in UTF-8
IN_UTF_32 = 0.6  # share that they are above in UTF-32 alone
FEWEST = 64  # bytes that say something


def refuse_zeros(where: str, beginning: bytes) -> None:
    """Refuse UTF-16 or UTF-32 of Latin letters without a mark: zeros are UTF-8 too.

    Raises:
        CharseqError: what ``beginning`` has so many of are zeros.
    """
    zeros, size = beginning.count(0), len(beginning)
    if size >= FEWEST and zeros > ZEROS * size:
        form = "UTF-32" if zeros > IN_UTF_32 * size else "UTF-16"
        order = "LE" if beginning[1::2].count(0) >= beginning[::2].count(0) else "BE"
        raise CharseqError(
            f"{where}: has a zero in every few bytes, as {form} has; convert it: iconv -f"
            f" {form}{order} -t UTF-8"
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
