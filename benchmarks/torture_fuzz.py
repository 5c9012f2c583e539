"""Feed configurations and checkpoints that nobody meant, and see whether anything but a
``CharseqError`` comes out.

Checkpoints are changed in two ways: as bytes, which the checksum meets; and, harder, in what they
say, with a checksum that is right, as a stranger could make them. What is read is then used.
"""

import json
import random
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STRANGE = [
    *["", "null", "~", "-1", "0", "1e400", "-.inf", ".nan", "1e-320", "65536", "9" * 400, "0x1F"],
    *["0o17", "true", "[]", "{}", "[[]]", "'", '"', "&a", "*a", "<<: *a", "!!binary aGk=", "1:30"],
    *["!!python/object:os.system", "\t", "\x00", "\x1b[31m", "\u202e", "---", "...", "? ", "| "],
    *["> ", "%YAML 3.0", "@", "`", "#", ": ", "- ", "lm", "seq2seq", "../../etc/passwd"],
    *["2001-01-01", "é" * 50, "\U0001f600", "a" * 5000],
]
VALUES: list[Any] = [
    *[None, True, -1, 0, 1, 2, 65536, 10**30, -0.5, 1e308, "", "a", "\x1b[2J", "../x", "lm"],
    *[[], [1], [[]], {}, {"a": 1}, "seq2seq", "x" * 1000],
]


@dataclass
class Fuzzed:
    """What came out."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    escaped: list[str] = field(default_factory=list)  # other exceptions, each told once
    slowest: float = 0.0

    def feed(self, use: Callable[[], object]) -> None:
        from charseq.errors import CharseqError

        self.tried += 1
        began = time.perf_counter()
        try:
            use()
            self.accepted += 1
        except CharseqError:
            self.refused += 1
        except Exception:  # noqa: BLE001  that is what is looked for
            told = traceback.format_exc()
            if told not in self.escaped:
                self.escaped.append(told)
        self.slowest = max(self.slowest, time.perf_counter() - began)


def fuzz_configs(configs: list[Path], scratch: Path, count: int, seed: int) -> Fuzzed:
    """Change the text of configurations, and load them."""
    from charseq.config import load_config

    rng, result, target = random.Random(seed), Fuzzed(), scratch / "fuzzed.yaml"
    texts = [path.read_bytes() for path in configs]
    for _ in range(count):
        target.write_bytes(changed_text(rng.choice(texts), rng))
        result.feed(lambda: load_config(target))
    return result


def changed_text(data: bytes, rng: random.Random) -> bytes:
    """A few changes: bytes, lines, values, and pieces put elsewhere."""
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        lines = data.split(b"\n")
        row, place = rng.randrange(len(lines)), rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0:
                data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
            case 1:
                data = data[:place] + rng.choice(STRANGE).encode() + data[place:]
            case 2:
                data = data[:place]
            case 3:
                data = b"\n".join([*lines[:row], *lines[row + 1 :]])
            case 4:
                data = b"\n".join([*lines, lines[row]])
            case 5 | 6:
                key, colon, _ = lines[row].partition(b":")
                lines[row] = key + colon + b" " + rng.choice(STRANGE).encode()
                data = b"\n".join(lines)
            case 7:
                lines[row] = b" " * rng.randrange(9) + lines[row].lstrip()
                data = b"\n".join(lines)
    return data


def fuzz_bytes(checkpoints: list[Path], scratch: Path, count: int, seed: int) -> Fuzzed:
    """Change the bytes of checkpoints, and read them."""
    from charseq.models.checkpoint_file import read_file

    rng, result, target = random.Random(seed), Fuzzed(), scratch / "fuzzed.safetensors"
    files = [path.read_bytes() for path in checkpoints]
    while result.tried < count:
        good = rng.choice(files)
        bad = changed_bytes(good, rng)
        if bad != good:
            target.write_bytes(bad)
            result.feed(lambda: read_file(target))
    return result


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    bad = bytearray(data)
    for _ in range(rng.choice([1, 2, 5, 50])):
        # mostly in front, where the structure is
        place = rng.randrange(min(len(bad), rng.choice([16, 2000, len(bad)])))
        bad[place : place + rng.choice([0, 1, 1, 8])] = rng.randbytes(rng.choice([0, 1, 1, 8]))
    return bytes(bad)


def fuzz_meanings(checkpoints: list[Path], scratch: Path, count: int, seed: int) -> Fuzzed:
    """Change what checkpoints say, put the right checksum on it, and use what can be loaded."""
    import numpy as np
    from safetensors.numpy import save_file

    from charseq.inference.load import load
    from charseq.inference.trained_lm import TrainedLanguageModel
    from charseq.models.checkpoint_file import digest, read_file

    rng, result, target = random.Random(seed), Fuzzed(), scratch / "fuzzed.safetensors"
    files = []
    for path in checkpoints:
        size = int.from_bytes(path.read_bytes()[:8], "little")
        metadata = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"]
        files.append((metadata["charseq"], read_file(path).arrays))

    def use() -> None:
        trained = load(target)
        if isinstance(trained, TrainedLanguageModel):
            trained.sample("", length=3, unknown="skip")
            trained.evaluate("ab", unknown="skip")
        else:
            list(trained.convert(["a"], unknown="skip"))

    for _ in range(count):
        text, arrays = rng.choice(files)
        header, changed = json.loads(text), dict(arrays)
        for _ in range(rng.choice([1, 1, 2, 4])):
            if rng.random() < 0.7:
                change_json(header, rng)
            else:
                name = rng.choice(sorted(changed))
                with np.errstate(invalid="ignore"):  # of NaN as a whole number
                    changed[name] = rng.choice(
                        [
                            np.zeros((0,), np.float32),
                            np.full_like(changed[name], 255),
                            changed[name].reshape(-1),
                            changed[name].reshape(-1)[:0],
                            changed[name].astype(np.float16),
                            changed[name].astype(np.int64),
                            np.full(changed[name].shape, np.nan, np.float32),
                        ]
                    )
                if rng.random() < 0.3:
                    del changed[name]
        text = json.dumps(header)
        save_file(changed, target, {"charseq": text, "sha256": digest(text, changed)})
        result.feed(use)
    return result


def change_json(value: Any, rng: random.Random) -> None:
    """Put something else at a random place of a JSON object, or take it away."""
    places = list(_places(value))
    if not places:
        return
    holder, key = rng.choice(places)
    match rng.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(["", "x", key + "_"])] = holder[key]
        case _:
            holder[key] = rng.choice(VALUES)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
