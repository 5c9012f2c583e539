"""A run folder or a checkpoint file becomes a model that writes and scores text."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from charseq.config import config_from_json, dump_config
from charseq.config.schema import LMConfig
from charseq.errors import CharseqError
from charseq.inference.evaluate import evaluate
from charseq.inference.load import load, load_language_model
from charseq.lstm import kernel
from charseq.lstm.compiler import UnavailableError
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS, CheckpointError
from charseq.text.corpus import load_corpus
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols
from charseq.text.vocab import Vocab

TEXT = "the cat sat on the mat\n" * 40


@pytest.fixture(scope="module", autouse=True)
def usual_kernel() -> dict[str, str]:
    """The kernel, built in the usual cache and not in that of each test; the environment so far."""
    kernel.why_not()
    return dict(os.environ)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARSEQ_CACHE_DIR", str(tmp_path / "cache"))


def make_checkpoint(folder: Path, text: str = TEXT, **sections: dict[str, object]) -> Checkpoint:
    """A model with random weights, of a text in ``folder``."""
    (folder / "text.txt").write_text(text, encoding="utf-8", newline="")
    data = {"text": str(folder / "text.txt"), "split": [0.8, 0.2, 0.0]}
    config = config_from_json(
        {"model": {"hidden_size": 8}, **sections, "data": {**data, **sections.get("data", {})}},
        where="a test",
    )
    assert isinstance(config, LMConfig)
    vocab = Vocab.from_counts(
        {character: text.count(character) for character in set(text)},
        kind=config.data.vocabulary,
        unknown=config.data.unknown,
    )
    torch.manual_seed(0)
    model = build_model(config, vocab)
    tensors = {WEIGHTS + name: parameter for name, parameter in model.state_dict().items()}
    return Checkpoint(config, vocab, tensors, {"progress": {"step": 70}})


def make_pair_checkpoint(folder: Path) -> Checkpoint:
    """A model of pairs with random weights."""
    settings = {
        "task": "seq2seq",
        "data": {"train": str(folder / "none.tsv")},
        "model": {"hidden_size": 8},
    }
    config = config_from_json(settings, where="a test")
    letters = Symbols("", ("a", "b"))
    vocab = PairVocab(letters, letters)
    torch.manual_seed(0)
    state = build_model(config, vocab).state_dict()
    tensors = {WEIGHTS + name: parameter for name, parameter in state.items()}
    return Checkpoint(config, vocab, tensors, {})


def save(path: Path, checkpoint: Checkpoint) -> Path:
    """As in a run folder: with the configuration beside it."""
    path.parent.mkdir(exist_ok=True)
    write_checkpoint(path, checkpoint)
    (path.parent / "config.yaml").write_text(dump_config(checkpoint.config), encoding="utf-8")
    return path


def test_a_run_is_its_best_checkpoint_and_a_file_is_itself(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path)
    save(tmp_path / "run" / "best.safetensors", checkpoint)
    last = replace(checkpoint, extra={"progress": {"step": 90}})
    save(tmp_path / "run" / "last.safetensors", last)
    trained = load_language_model(tmp_path / "run")
    assert (trained.step, trained.path.name) == (70, "best.safetensors")
    assert load_language_model(str(tmp_path / "run" / "last.safetensors")).step == 90
    assert not trained.model.training
    assert trained.vocab == checkpoint.vocab
    assert trained.config == checkpoint.config
    for name, parameter in trained.model.named_parameters():
        assert torch.equal(parameter, checkpoint.tensors[WEIGHTS + name])


def test_averaged_weights_are_taken_where_there_are_any(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path)
    averages = {
        name.replace(WEIGHTS, "average."): tensor + 1.0
        for name, tensor in checkpoint.tensors.items()
    }
    tensors = checkpoint.tensors | averages | {"optimizer.step": torch.zeros(1)}
    trained = load_language_model(
        save(tmp_path / "last.safetensors", replace(checkpoint, tensors=tensors))
    )
    for name, parameter in trained.model.named_parameters():
        assert torch.equal(parameter, checkpoint.tensors[WEIGHTS + name] + 1.0)


def test_a_missing_run_and_a_missing_device_are_named(tmp_path: Path) -> None:
    with pytest.raises(CharseqError, match="nowhere: there is no such checkpoint"):
        load_language_model(tmp_path / "nowhere")
    with pytest.raises(CharseqError, match="holds no checkpoint"):
        load_language_model(tmp_path)
    with pytest.raises(CharseqError, match="'gpu' is none of auto, cpu"):
        load_language_model(tmp_path, device="gpu")


def test_an_ensemble_takes_no_language_model_wherever_it_stands(tmp_path: Path) -> None:
    lm = save(tmp_path / "lm.safetensors", make_checkpoint(tmp_path))
    config = config_from_json(
        {"task": "seq2seq", "data": {"train": "none.tsv"}, "model": {"hidden_size": 8}},
        where="a test",
    )
    vocab = PairVocab(Symbols("", ("a", "b")), Symbols("", ("c",)))
    tensors = {
        WEIGHTS + name: parameter.detach()
        for name, parameter in build_model(config, vocab).named_parameters()
    }
    pairs = save(tmp_path / "pairs.safetensors", Checkpoint(config, vocab, tensors, {}))
    for names in ((lm, pairs), (pairs, lm), (pairs, pairs, lm)):
        with pytest.raises(CharseqError, match=r"lm\.safetensors: a language model; an"):
            load(*names)


def test_sampling_follows_the_run_unless_told_otherwise(tmp_path: Path) -> None:
    settings = {"length": 30, "temperature": 0.5, "top_k": 3, "seed": 8, "prime": "the"}
    checkpoint = make_checkpoint(tmp_path, sample=settings)
    trained = load_language_model(save(tmp_path / "a.safetensors", checkpoint))
    plain = load_language_model(save(tmp_path / "b.safetensors", make_checkpoint(tmp_path)))
    text = trained.sample()
    assert len(text) == 30
    assert text == plain.sample("the", length=30, temperature=0.5, top_k=3, seed=8)
    assert text == "".join(trained.stream())
    assert text != trained.sample(seed=9)
    assert text[:5] == trained.sample(length=5)
    assert len(plain.sample()) == 500
    with pytest.raises(CharseqError, match="seed: must be at least 0"):
        plain.sample(seed=-1)


def without_kernel(patch: pytest.MonkeyPatch) -> None:
    def missing() -> NoReturn:
        raise UnavailableError("no compiler")

    patch.setattr(kernel, "load", missing)
    patch.setattr(kernel, "why_not", lambda: "no compiler")


@pytest.mark.kernel
@pytest.mark.parametrize("vocabulary", ["char", "byte"])
@pytest.mark.parametrize("model", [{}, {"num_layers": 2, "embedding_size": 5}])
def test_without_the_kernel_torch_writes_the_same_texts(
    vocabulary: str, model: dict[str, object], tmp_path: Path, usual_kernel: dict[str, str]
) -> None:
    checkpoint = make_checkpoint(
        tmp_path, data={"vocabulary": vocabulary}, model={"hidden_size": 9, **model}
    )
    path = save(tmp_path / "a.safetensors", checkpoint)
    requests = [
        {"prime": "the cat", "length": 60},
        {"length": 40, "temperature": 0.0},
        {"length": 50, "temperature": 1.5, "top_k": 5, "top_p": 0.8, "seed": 2**62},
        {"stop": "a", "seed": 1},
    ]
    program = (
        "import json, sys; from charseq import load_language_model\n"
        "trained = load_language_model(sys.argv[1])\n"
        "texts = [trained.sample(**request) for request in json.loads(sys.argv[2])]\n"
        "print(json.dumps([*texts, 'torch' in sys.modules]))"
    )
    command = [sys.executable, "-c", program, str(path), json.dumps(requests)]
    done = subprocess.run(command, capture_output=True, check=True, env=usual_kernel)
    *texts, torch_was_there = json.loads(done.stdout)
    assert not torch_was_there
    with pytest.MonkeyPatch.context() as patch:
        without_kernel(patch)
        trained = load_language_model(path)
        assert texts == [trained.sample(**request) for request in requests]  # type: ignore[arg-type]
    assert len(texts[0]) == 60


def test_two_texts_can_be_written_in_turn(tmp_path: Path) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    one, other = trained.stream(length=200, seed=1), trained.stream(length=200, seed=2)
    texts = ["", ""]
    for pieces in zip(one, other, strict=False):
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    for text, seed in zip(texts, (1, 2), strict=True):
        assert text == trained.sample(length=200, seed=seed)[: len(text)]
        assert len(text) > 10


def test_the_text_is_that_of_the_weights_as_they_are_now(tmp_path: Path) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    before = trained.sample(length=20)
    assert trained.model is trained.model
    assert trained.sample(length=20) == before
    with torch.no_grad():
        trained.model.output.bias[trained.vocab.symbols.index("c")] = 100.0
    assert trained.sample(length=20) == "c" * 20


@pytest.mark.kernel("avx512_bf16")
def test_bfloat16_writes_almost_the_same(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, model={"hidden_size": 40})
    tensors = {name: 3 * tensor for name, tensor in checkpoint.tensors.items()}
    path = save(tmp_path / "a.safetensors", replace(checkpoint, tensors=tensors))
    trained = load_language_model(path)
    rounded = {name: tensor.bfloat16().float() for name, tensor in tensors.items()}
    path = save(tmp_path / "b.safetensors", replace(checkpoint, tensors=rounded))
    text = trained.sample(length=300, precision="bf16")
    assert len(text) == 300
    assert text != trained.sample(length=300)
    assert text[:10] == load_language_model(path).sample(length=10)


def test_bfloat16_is_refused_where_there_is_no_kernel_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    without_kernel(monkeypatch)
    with pytest.raises(CharseqError) as caught:
        trained.sample(precision="bf16")
    assert str(caught.value) == "precision: bf16 cannot be used: no compiler; use fp32"


def test_weights_that_do_not_fit_are_refused_at_once(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path)
    name = "model.output.weight"
    less = {other: tensor for other, tensor in checkpoint.tensors.items() if other != name}
    narrow = less | {name: checkpoint.tensors[name][:, :-1]}
    more = checkpoint.tensors | {"model.more": torch.zeros(2)}
    for tensors, why in (
        (less, r"output.weight is missing, not \(11, 8\)"),
        (narrow, r"output.weight is \(11, 7\), not \(11, 8\)"),
        (more, r"more is \(2,\), and there is no such weight"),
    ):
        path = save(tmp_path / "a.safetensors", replace(checkpoint, tensors=tensors))
        with pytest.raises(CheckpointError, match=f"a.safetensors: the weights do .*: {why}"):
            load(path)


@pytest.mark.parametrize("task", ["lm", "seq2seq"])
def test_a_checkpoint_that_asks_for_terabytes_gets_none(tmp_path: Path, task: str) -> None:
    """Its checksum is right: whoever makes a checkpoint can have that."""
    checkpoint = make_checkpoint(tmp_path) if task == "lm" else make_pair_checkpoint(tmp_path)
    model = checkpoint.config.model.model_copy(update={"hidden_size": 65536, "num_layers": 64})
    config = checkpoint.config.model_copy(update={"model": model})
    path = save(tmp_path / "a.safetensors", replace(checkpoint, config=config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="the weights do not fit the configuration"):
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_weights_of_another_type_count_as_float32(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path)
    wide = {name: tensor.double() for name, tensor in checkpoint.tensors.items()}
    path = save(tmp_path / "a.safetensors", replace(checkpoint, tensors=wide))
    plain = load_language_model(save(tmp_path / "b.safetensors", checkpoint))
    trained = load_language_model(path)
    assert {array.dtype for array in trained.weights.values()} == {np.dtype(np.float32)}
    assert trained.sample() == plain.sample()


def test_a_text_of_one_line_needs_no_newline_to_start(tmp_path: Path) -> None:
    trained = load_language_model(
        save(tmp_path / "a.safetensors", make_checkpoint(tmp_path, "abcd" * 50))
    )
    assert trained.default_prime == ""
    assert trained.sample(length=20) == trained.sample("a", length=20)
    with pytest.raises(CharseqError, match=r"U\+000A"):  # but one that is asked for is refused
        trained.sample("\n")


def test_scores_are_those_of_the_part_of_the_text(tmp_path: Path) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    held_out = TEXT[int(0.8 * len(TEXT)) :]
    assert trained.evaluate() == trained.evaluate(held_out)
    expected = evaluate(trained.model, trained.vocab.encode(held_out), window=7)
    assert trained.evaluate(window=7) == expected
    with pytest.raises(CharseqError, match=r"no test text: its `data.split` gives it no share"):
        trained.evaluate(split="test")


def test_a_text_that_changed_since_the_training_is_not_split_again(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("a cat\n")
    own = str(tmp_path / "own.txt")
    checkpoint = make_checkpoint(tmp_path, data={"test_text": own, "unknown": "error"})
    assert isinstance(checkpoint.config, LMConfig)
    assert isinstance(checkpoint.vocab, Vocab)
    fingerprint = load_corpus(checkpoint.config.data, checkpoint.vocab).fingerprint
    path = save(tmp_path / "a.safetensors", replace(checkpoint, extra={"fingerprint": fingerprint}))
    silent = load_language_model(save(tmp_path / "b.safetensors", checkpoint))
    trained = load_language_model(path)
    held_out = len(trained.split_ids("valid"))
    assert held_out == len(TEXT) - int(0.8 * len(TEXT))
    assert len(trained.split_ids("valid", "skip")) == held_out  # how it is read is no matter
    for changed in (TEXT + "the cat\n", TEXT + "the µcat\n"):
        (tmp_path / "text.txt").write_text(changed, encoding="utf-8")
        with pytest.raises(CharseqError) as caught:
            trained.split_ids("valid", "skip")
        assert str(caught.value) == (
            f"{tmp_path / 'text.txt'}: the text, or how it is read and split, has changed since the"
            " training; its valid part may hold what the model was trained on; name a file that it"
            " was not with --data FILE"
        )
        with pytest.raises(
            CharseqError, match="its train part may hold another text than the model"
        ):
            trained.split_ids("train", "skip")
        assert len(trained.split_ids("test", "skip")) == 6  # a text of its own
        assert len(silent.split_ids("valid", "skip")) > held_out  # nothing is known


def test_characters_that_the_model_never_saw(tmp_path: Path) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    with pytest.raises(CharseqError, match=r"U\+00B5"):
        trained.evaluate("the µ cat")
    assert trained.evaluate("the µcat", unknown="skip") == trained.evaluate("the cat")
    lenient = make_checkpoint(tmp_path, data={"unknown": "skip"})
    trained = load_language_model(save(tmp_path / "b.safetensors", lenient))
    assert trained.evaluate("the µcat") == trained.evaluate("the cat")


def test_the_surprisal_of_a_text_adds_up_to_its_score(tmp_path: Path) -> None:
    trained = load_language_model(save(tmp_path / "a.safetensors", make_checkpoint(tmp_path)))
    nats = trained.surprisal("the cat sat")
    assert nats.shape == (10,)
    assert nats.mean() == pytest.approx(trained.evaluate("the cat sat").nats, rel=1e-12)
    after = trained.surprisal(" sat", after="the cat")
    np.testing.assert_allclose(after, nats[-4:], rtol=1e-6)
    np.testing.assert_array_equal(
        trained.surprisal("cat", after=""), trained.surprisal("cat", after="\n")
    )
