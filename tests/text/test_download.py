"""Downloads over a loopback server: clean, broken and resumed, refused, wrong, too large."""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from charseq.errors import CharseqError
from charseq.text.download import ATTEMPTS, Download, download

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked."""

    url: str = ""
    body: bytes = BODY
    ranges: bool = True  # honour Range
    break_after: list[int] = field(default_factory=list)  # bytes, for each of the first requests
    statuses: list[int] = field(default_factory=list)  # errors, for each of the first requests
    asked: list[str | None] = field(default_factory=list)  # the Range of each request

    @property
    def source(self) -> Download:
        return Download(url=self.url, size=len(BODY), sha256=SHA256)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.asked.append(asked)
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        start = 0
        if asked and self.ranges:
            (start,) = map(int, re.findall(r"^bytes=(\d+)-$", asked))
            if start >= len(self.body):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-/{len(self.body)}")
        else:
            request.send_response(200)
        body = self.body[start:]
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
        request.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}).start()
        state.url = f"http://127.0.0.1:{http.server_port}/text.txt"
        yield state
        http.shutdown()


class Waits(list[float]):
    """Takes the place of time.sleep: notes the pauses."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@dataclass
class Fetch:
    """A download to ``target``, with what it reported on the way."""

    target: Path
    seen: list[tuple[int, int]] = field(default_factory=list)
    waits: Waits = field(default_factory=Waits)

    @property
    def part(self) -> Path:
        return self.target.with_name("text.txt.part")

    def __call__(self, source: Download) -> None:
        def progress(here: int, total: int) -> None:
            self.seen.append((here, total))

        download(source, self.target, progress=progress, wait=self.waits)


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path / "text.txt")


def test_a_clean_transfer(server: Server, fetch: Fetch) -> None:
    fetch(server.source)
    assert fetch.target.read_bytes() == BODY
    assert not fetch.part.exists()
    assert server.asked == [None]
    assert fetch.waits == []
    assert fetch.seen == sorted(fetch.seen)
    assert fetch.seen[-1] == (len(BODY), len(BODY))


def test_a_broken_transfer_is_resumed_where_it_broke(server: Server, fetch: Fetch) -> None:
    server.break_after = [100_000, 50_000]
    fetch(server.source)
    assert fetch.target.read_bytes() == BODY
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert fetch.waits == [0.5, 1.0]


def test_the_next_call_goes_on_after_all_attempts_broke(server: Server, fetch: Fetch) -> None:
    server.break_after = [1000] * ATTEMPTS
    with pytest.raises(CharseqError, match=r"broke off after 4,000 of 256,000 bytes \(4 attempts"):
        fetch(server.source)
    assert fetch.part.read_bytes() == BODY[:4000]
    assert not fetch.target.exists()
    fetch(server.source)
    assert server.asked[-1] == "bytes=4000-"
    assert fetch.target.read_bytes() == BODY


def test_a_server_without_ranges_sends_it_all_again(server: Server, fetch: Fetch) -> None:
    server.ranges = False
    server.break_after = [1000]
    fetch(server.source)
    assert server.asked == [None, "bytes=1000-"]
    assert fetch.target.read_bytes() == BODY


def test_a_range_that_cannot_be_had_starts_over(server: Server, fetch: Fetch) -> None:
    fetch.part.write_bytes(BODY[:5000])
    server.statuses = [416]
    fetch(server.source)
    assert server.asked == ["bytes=5000-", None]
    assert fetch.target.read_bytes() == BODY


def test_a_complete_part_needs_no_request(server: Server, fetch: Fetch) -> None:
    fetch.part.write_bytes(BODY)
    fetch(server.source)
    assert server.asked == []
    assert fetch.target.read_bytes() == BODY


def test_a_part_that_is_too_long_starts_over(server: Server, fetch: Fetch) -> None:
    fetch.part.write_bytes(BODY + b"x")
    fetch(server.source)
    assert server.asked == [None]
    assert fetch.target.read_bytes() == BODY


def test_a_wrong_file_is_removed_and_both_sums_are_named(server: Server, fetch: Fetch) -> None:
    server.body = BODY[::-1]
    found = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(CharseqError, match=f"its sha256 is {found} where {SHA256} is right"):
        fetch(server.source)
    assert list(fetch.target.parent.iterdir()) == []


def test_a_file_that_is_too_large_is_not_taken_in(server: Server, fetch: Fetch) -> None:
    server.body = BODY + b"more"
    with pytest.raises(CharseqError, match="it has more than 256,000 bytes"):
        fetch(server.source)
    assert max(here for here, _ in fetch.seen) <= len(BODY)
    assert list(fetch.target.parent.iterdir()) == []


def test_a_file_that_is_not_there_is_not_asked_for_again(server: Server, fetch: Fetch) -> None:
    server.statuses = [404, 404]
    with pytest.raises(CharseqError, match=r"answered 404 Not Found.*CHARSEQ_DATA_MIRROR"):
        fetch(server.source)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server: Server, fetch: Fetch) -> None:
    server.statuses = [503, 429, 500]
    fetch(server.source)
    assert fetch.target.read_bytes() == BODY
    assert fetch.waits == [0.5, 1.0, 2.0]


def test_no_server_at_all(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(CharseqError, match=r"could not be downloaded: .*refused.* \(4 attempts\)"):
        fetch(Download(url="http://127.0.0.1:1/text.txt", size=1, sha256=SHA256))
    assert not fetch.part.exists()
