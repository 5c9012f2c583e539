"""Contenders of known speeds, one of them on a machine that slows down: what is made of that."""

from pathlib import Path
from typing import Any, Self

import pytest

from charseq.config import Config, config_from_json
from charseq.errors import CharseqError
from charseq.reports import bench_speed
from charseq.reports.bench_speed import Speeds, contenders, measure

SPEEDS = {"nn.LSTM": 1000.0, "manual": 2000.0, "fused": 5000.0}
# How fast the machine is as it trains: first where nothing is counted, then in three rounds.
PACE = [0.5, 1.0, 0.5, 0.25]
BATCH = 4 * 6


class Fake:
    """It answers as ``bench_work.py`` does, and writes down what it was asked for."""

    asked: list[tuple[str, str, float]]

    def __init__(self, name: str, spec: dict[str, Any], folder: Path) -> None:
        self.name, self.turns = name, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def answer(self) -> dict[str, Any]:
        return {
            "parameters": 7,
            "vocab_size": 65,
            "threads": 2,
            "size": 1024,
            "turns": ["train"] if self.name == "fused" else ["train", "write"],
        }

    def ask(self, what: str, how_much: float) -> Any:
        Fake.asked.append((self.name, what, how_much))
        if what == "multiply":
            return 1e9
        if what == "write":
            return SPEEDS[self.name]
        pace = PACE[self.turns]
        self.turns += 1
        return [SPEEDS[self.name] * pace] * int(how_much)


def text(**model: Any) -> Config:
    train = {"batch_size": 4, "seq_len": 6}
    data = {"data": {"text": "absent"}, "model": {"hidden_size": 8, **model}, "train": train}
    return config_from_json(data, where="the test")


@pytest.fixture
def speeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Speeds:
    Fake.asked = []
    monkeypatch.setattr(bench_speed, "_Contender", Fake)
    monkeypatch.setattr(bench_speed, "contenders", lambda _: list(SPEEDS))
    return measure(text(), tmp_path, seconds=0.0)


def test_all_take_turns_with_the_same_number_of_steps(speeds: Speeds) -> None:
    one_round = [
        *((name, "train") for name in SPEEDS),
        ("products", "multiply"),
        ("nn.LSTM", "write"),
        ("manual", "write"),
    ]
    first = [(name, "train") for name in SPEEDS]
    assert [asked[:2] for asked in Fake.asked] == first + 3 * one_round
    steps = [how_much for _, what, how_much in Fake.asked if what == "train"]
    # As many as the slowest takes 0.2 seconds for: it had read 24 characters at 500 a second.
    assert steps == 3 * [1] + 9 * [4]
    assert speeds.rounds == 3


def test_medians_and_ratios_round_by_round(speeds: Speeds) -> None:
    for name, speed in speeds.training.items():
        assert speed.per_second == pytest.approx(SPEEDS[name] * 0.5)
        assert speed.ratio == pytest.approx(SPEEDS[name] / 1000)
        assert speed.ratio_quartiles == pytest.approx((speed.ratio, speed.ratio))
    assert list(speeds.writing) == ["nn.LSTM", "manual"]
    assert speeds.writing["manual"].ratio == pytest.approx(2.0)
    assert speeds.writing["manual"].share_of_peak is None


def test_the_share_of_the_peak_is_arithmetic_a_second(speeds: Speeds) -> None:
    flops = 2 * (3 * BATCH * (32 * 8 + 8 * 65) - 4 * 32 * 8)
    assert (speeds.symbols, speeds.flops, speeds.peak) == (BATCH, flops, 1e9)
    expected = flops * (500 / BATCH) / 1e9
    assert speeds.training["nn.LSTM"].share_of_peak == pytest.approx(expected)


def test_quartiles_where_a_ratio_varies() -> None:
    found = bench_speed._speeds({"a": [1.0] * 5, "b": [1.0, 2.0, 3.0, 4.0, 50.0]})["b"]
    assert (found.per_second, found.ratio, found.ratio_quartiles) == (3.0, 3.0, (2.0, 4.0))


def test_what_nn_lstm_has_no_setting_for_is_named() -> None:
    assert bench_speed._spared(text()) == []
    assert bench_speed._spared(text(locked_dropout=True)) == []  # there is no dropout
    settings = {"locked_dropout": True, "dropout": 0.1, "input_dropout": 0.2}
    assert bench_speed._spared(text(**settings)) == ["model.input_dropout", "model.locked_dropout"]


def test_pairs_are_held_to_the_same_model() -> None:
    pairs = config_from_json({"task": "seq2seq", "data": {"train": "t"}}, where="the test")
    assert contenders(pairs)[:2] == ["torch", "manual"]
    assert contenders(text())[:2] == ["nn.LSTM", "manual"]


def test_a_contender_that_fails_says_why(tmp_path: Path) -> None:
    spec = {"threads": None, "config": {"data": {"text": str(tmp_path / "absent")}}, "vocab": None}
    with bench_speed._Contender("manual", spec, tmp_path) as broken:
        with pytest.raises(CharseqError, match="absent: there is no such file"):
            broken.answer()
        with pytest.raises(CharseqError, match="the process of manual ended with code 0"):
            broken.ask("train", 1)
