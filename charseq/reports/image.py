"""What all pictures drawn with matplotlib share: their formats, and the same bytes every time."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from charseq.errors import CharseqError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES: Final = (".png", ".svg")


def file_format(file: str, formats: Sequence[str] = IMAGES) -> str:
    """The format that a file's name asks for.

    Raises:
        CharseqError: it is none of them, or it needs matplotlib, which is not installed.
    """
    suffix = PurePath(file).suffix.lower()
    suffix = ".html" if suffix == ".htm" else suffix
    if suffix not in formats:
        raise CharseqError(f"{file}: name a file that ends in {', '.join(formats)}")
    if suffix in IMAGES:
        try:
            import matplotlib as _  # noqa: F401
        except ImportError:
            others = [name for name in formats if name not in IMAGES]
            more = f"; {', '.join(others)} needs nothing" if others else ""
            raise CharseqError(
                f"{file}: images need matplotlib: pip install 'charseq[plot]'{more}"
            ) from None
    return suffix


@contextmanager
def reproducible(fonts: Sequence[str] = ()) -> Iterator[None]:
    """Inside, the same picture gives the same file, with the first of these fonts that fits.

    Text stays text in SVG: whoever opens it has fonts of their own.
    """
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "charseq"}):
        if fonts:
            matplotlib.rcParams["font.family"] = fonts
        yield


def save(figure: "Figure", suffix: str, **options: Any) -> bytes:
    """The figure as a file, without a date: the same picture gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if suffix == ".svg" else {}
    figure.savefig(buffer, format=suffix[1:], metadata=metadata, **options)
    return buffer.getvalue()
