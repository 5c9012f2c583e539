"""Damage a checkpoint in every way, and see whether any damage is read as if nothing were."""

import json
import random
import resource
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FLIPS, TRUNCATIONS, BLOCKS = 1000, 200, 200


@dataclass
class Damage:
    """How damaged files were met."""

    tried: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0  # seconds to a refusal
    megabytes: float = 0.0  # by which the memory grew at most


def damage(checkpoint: Path, scratch: Path, share: float, seed: int) -> Damage:
    """Try all of it, or a ``share``; a file that is refused is named in the error."""
    from charseq.models.checkpoint_file import CheckpointError, read_file

    result = Damage()
    target = scratch / "damaged.safetensors"
    read_file(checkpoint)  # what it takes is no growth
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, data in damaged(checkpoint.read_bytes(), share, random.Random(seed)):
        target.write_bytes(data)
        result.tried[kind] = result.tried.get(kind, 0) + 1
        began = time.perf_counter()
        try:
            read_file(target)
        except CheckpointError as error:
            if str(target) in str(error):
                result.refused[kind] = result.refused.get(kind, 0) + 1
        result.slowest = max(result.slowest, time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result.megabytes = (after - before) / 1024
    return result


def damaged(good: bytes, share: float, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Files that are not the good one any more, each with what was done to it."""
    (length,) = struct.unpack("<Q", good[:8])
    # A third of the flips in what comes in front of the tensors, where most structure is
    places = [(0, 8 + length)] + [(0, len(good))] * 2
    for number in range(round(FLIPS * share)):
        place = rng.randrange(*places[number % 3])
        bad = bytearray(good)
        bad[place] ^= 1 << rng.randrange(8)
        yield "a bit flipped", bytes(bad)
    for _ in range(round(TRUNCATIONS * share)):
        yield "cut off", good[: rng.randrange(len(good))]
    for _ in range(round(BLOCKS * share)):
        size = rng.choice([16, 512, 4096])
        place = rng.randrange(len(good) - size)
        block = rng.choice([bytes(size), rng.randbytes(size), b"\xff" * size])
        if good[place : place + size] != block:
            yield "a block overwritten", good[:place] + block + good[place + size :]
    yield from others(good, length)


def others(good: bytes, length: int) -> Iterator[tuple[str, bytes]]:
    """Files of another kind, and some that lie about themselves."""
    header = json.loads(good[8 : 8 + length])
    tensors = good[8 + length :]

    def with_header(changed: object) -> bytes:
        text = json.dumps(changed).encode()
        return struct.pack("<Q", len(text)) + text + tensors

    name = next(key for key in header if key != "__metadata__")
    huge = {**header, name: {"dtype": "F32", "shape": [25 * 10**9], "data_offsets": [0, 10**11]}}
    newer = json.loads(header["__metadata__"]["charseq"]) | {"format_version": 10**6}
    metadata = {**header["__metadata__"], "charseq": json.dumps(newer)}
    yield from (
        ("empty", b""),
        ("another kind", b"\x89PNG\r\n\x1a\n" + bytes(1000)),
        ("another kind", b"PK\x03\x04" + bytes(1000)),
        ("another kind", b"\x80\x04\x95" + bytes(1000)),  # a pickle
        ("more bytes behind it", good + b"\0"),
        ("claims 100 GB", with_header(huge)),
        ("claims 100 GB", struct.pack("<Q", 10**11) + good[8:]),
        ("a newer format", with_header({**header, "__metadata__": metadata})),
        ("no metadata", with_header({key: v for key, v in header.items() if key[0] != "_"})),
        ("nested deeply", struct.pack("<Q", 100_000) + b"[" * 100_000 + tensors),
    )
