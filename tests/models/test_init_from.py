"""A model that begins with another's weights predicts what that one did, whatever ids moved."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from charseq.config import Config, config_from_json
from charseq.errors import CharseqError
from charseq.models.build import Model, build_model, decided
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS, AnyVocab
from charseq.models.init_from import begin_with, read_origin
from charseq.models.language_model import LanguageModel
from charseq.models.seq2seq import Seq2Seq
from charseq.text.grow import grown_pair_vocab, grown_vocab
from charseq.text.pair_vocab import PairVocab
from charseq.text.symbols import Symbols
from charseq.text.vocab import Vocab

# The new symbols come before, between and behind the old ones.
LETTERS, MORE_LETTERS = Vocab("char", ("b", "d", "f")), Vocab("char", tuple("acdegh"))
PAIRS = PairVocab(Symbols("", tuple("bdx")), Symbols("", tuple("Bbd")), ("PL", "V"))
MORE_PAIRS = PairVocab(Symbols("", tuple("acdz")), Symbols("", tuple("ADae")), ("N", "PL"))


def settings(task: str, **model: Any) -> Config:
    data = {"text": "a.txt"} if task == "lm" else {"train": "a.tsv", "features_column": 3}
    sections = {"task": task, "data": data, "model": {"hidden_size": 6, "num_layers": 2, **model}}
    return config_from_json(sections, where="the test")


def trained(config: Config, vocab: AnyVocab, path: Path) -> Model:
    """A model with large random weights, biases too, and its checkpoint."""
    torch.manual_seed(1)
    model = build_model(config, vocab)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-1.0, 1.0)
    weights = {WEIGHTS + name: p.detach() for name, p in model.named_parameters()}
    write_checkpoint(path, Checkpoint(config, vocab, weights, {"progress": {"step": 9}}))
    return model.eval()


def fresh(config: Config, vocab: AnyVocab) -> Model:
    torch.manual_seed(2)
    return build_model(config, vocab).eval()


@pytest.mark.parametrize("embedding_size", [None, 4])
def test_the_logits_of_shared_characters_are_the_old_ones(
    tmp_path: Path, embedding_size: int | None
) -> None:
    config = settings("lm", embedding_size=embedding_size)
    old = trained(config, LETTERS, tmp_path / "a.safetensors")
    vocab = grown_vocab(LETTERS, MORE_LETTERS)
    assert "".join(vocab.symbols) == "abcdefgh"
    new = fresh(config, vocab)
    taken = begin_with(new, vocab, read_origin(str(tmp_path / "a.safetensors"), config))
    assert isinstance(old, LanguageModel)
    assert isinstance(new, LanguageModel)
    text = "bdffbd"
    wanted, _ = old(torch.from_numpy(LETTERS.encode(text).astype("int64"))[:, None])
    found, _ = new(torch.from_numpy(vocab.encode(text).astype("int64"))[:, None])
    shared = [vocab.symbols.index(symbol) for symbol in LETTERS.symbols]
    torch.testing.assert_close(found[..., shared], wanted)
    assert (taken.tensors, taken.grown) == (len(list(old.parameters())), 3)
    assert (taken.symbols, taken.new_symbols) == ({"text": 3}, {"text": tuple("acegh")})
    assert (taken.checkpoint, taken.step) == (str(tmp_path / "a.safetensors"), 9)


@pytest.mark.parametrize(
    ("model", "grown"),
    [
        ({}, 5),
        ({"bidirectional": False, "attention": "none"}, 4),
        ({"attention": "additive", "input_feeding": True}, 5),
        ({"attention": "dot", "embedding_size": 4}, 4),
        ({"copy": True}, 6),
        ({"attention": "monotonic"}, 5),
        ({"attention": "monotonic", "copy": True}, 6),
        ({"copy": True, "input_feeding": True, "embedding_size": 4}, 4),
    ],
)
def test_the_logits_of_shared_symbols_of_pairs_are_the_old_ones(
    tmp_path: Path, model: dict[str, Any], grown: int
) -> None:
    config = settings("seq2seq", **model)
    old = trained(config, PAIRS, tmp_path / "a.safetensors")
    vocab = grown_pair_vocab(PAIRS, MORE_PAIRS)
    new = fresh(config, vocab)
    taken = begin_with(new, vocab, read_origin(str(tmp_path / "a.safetensors"), config))
    assert isinstance(old, Seq2Seq)
    assert isinstance(new, Seq2Seq)
    added = [vocab.target_ids(vocab.target.numbers([s])[0])[0] for s in taken.new_symbols["target"]]
    with torch.no_grad():  # what a pointer mixes is a softmax over all symbols, new ones too
        new.decoder.output.bias[added] = -1e9

    def predicted(network: Seq2Seq, known: PairVocab) -> Tensor:
        # One after the other: with tags, and with a symbol that neither of them knows.
        sources = [("bxd", ("V",)), ("d!b", ("PL", "V"))]
        logits = []
        for source, tags in sources:
            ids = torch.from_numpy(known.encode_source(source, tags, "replace"))[:, None]
            inputs = torch.from_numpy(known.encode_target("bB!d"))
            inputs = torch.cat([torch.tensor([0]), inputs])[:, None]
            symbols = [0, 1, *known.encode_target("Bbd").tolist()]
            logits.append(network(ids, None, inputs)[..., symbols])
        return torch.cat(logits)

    torch.testing.assert_close(predicted(new, vocab), predicted(old, PAIRS))
    assert taken.grown == grown
    assert taken.symbols == {"source": 5, "target": 3}
    assert taken.new_symbols == {"source": ("a", "c", "z", "N"), "target": ("A", "D", "a", "e")}


def test_new_symbols_have_the_weights_of_a_new_model(tmp_path: Path) -> None:
    config = settings("lm")
    trained(config, LETTERS, tmp_path / "a.safetensors")
    vocab = grown_vocab(LETTERS, MORE_LETTERS)
    new, untouched = fresh(config, vocab), fresh(config, vocab)
    begin_with(new, vocab, read_origin(str(tmp_path / "a.safetensors"), config))
    added = [vocab.symbols.index(symbol) for symbol in "acegh"]
    kept = [vocab.symbols.index(symbol) for symbol in "bdf"]
    for name, dim in (("output.weight", 0), ("output.bias", 0), ("lstm.weight_ih_l0", 1)):
        found, start = new.get_parameter(name), untouched.get_parameter(name)
        index = torch.tensor(added)
        assert torch.equal(found.index_select(dim, index), start.index_select(dim, index))
        index = torch.tensor(kept)
        different = found.index_select(dim, index) != start.index_select(dim, index)
        assert different.all(), name


def test_averaged_weights_are_what_is_begun_with(tmp_path: Path) -> None:
    config = settings("lm")
    path = tmp_path / "last.safetensors"
    model = trained(config, LETTERS, path)
    averages = {f"average.{name}": p.detach() / 2 for name, p in model.named_parameters()}
    weights = {WEIGHTS + name: p.detach() for name, p in model.named_parameters()}
    write_checkpoint(path, Checkpoint(config, LETTERS, weights | averages, {}))
    new = fresh(config, LETTERS)
    taken = begin_with(new, LETTERS, read_origin(str(tmp_path), config))  # a run without a best
    for name, parameter in new.named_parameters():
        assert torch.equal(parameter, averages[f"average.{name}"])
    assert (taken.grown, taken.step, taken.new_symbols) == (0, None, {"text": ()})


def test_what_cannot_match_is_refused_with_both_values(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    trained(settings("seq2seq"), PAIRS, path)

    def refusal(config: Config) -> str:
        with pytest.raises(CharseqError) as caught:
            read_origin(str(path), config)
        return str(caught.value)

    here = settings(
        "seq2seq",
        hidden_size=8,
        num_layers=1,
        embedding_size=5,
        bidirectional=False,
        attention="additive",
        input_feeding=True,
        copy=True,
    )
    reading = {
        "source_separator": " ",
        "target_separator": "_",
        "normalize": "NFD",
        "reverse_source": True,
    }
    said = refusal(here.model_copy(update={"data": here.data.model_copy(update=reading)}))
    assert said == (
        f"train.init_from: a training cannot begin with {path}:"
        " model.hidden_size is 6 there and 8 here; model.num_layers is 2 there and 1 here;"
        " model.embedding_size is null there and 5 here; model.bidirectional is true there and"
        " false here; model.attention is general there and additive here; model.input_feeding is"
        " false there and true here; model.copy is false there and true here;"
        ' data.source_separator is "" there and " " here; data.target_separator is "" there and'
        " _ here; data.normalize is none there and NFD here; data.reverse_source is false there"
        " and true here; set that as it is there, train with that run's config.yaml and --set"
        " what is new, or leave train.init_from out"
    )
    assert ": task is seq2seq there and lm here; set" in refusal(settings("lm"))
    # What decides no shape may differ.
    assert read_origin(str(path), settings("seq2seq", dropout=0.5, backend="manual")).step == 9


@pytest.mark.parametrize("there", [True, False])
def test_auto_copies_here_as_it_did_there(tmp_path: Path, there: bool) -> None:
    """Two of the three target symbols of PAIRS are source symbols; with D and z four of five."""
    auto, path = settings("seq2seq", copy="auto"), tmp_path / "a.safetensors"
    more = PairVocab(Symbols("", ("D", "z")), Symbols("", ("D", "z")))
    old = trained(settings("seq2seq", copy=there), PAIRS, path)
    origin = read_origin(str(path), auto)
    for vocab in (grown_pair_vocab(PAIRS, more), grown_pair_vocab(PAIRS, MORE_PAIRS)):
        model = fresh(decided(auto, vocab, origin.config), vocab)
        assert begin_with(model, vocab, origin).tensors == len(list(old.parameters()))
        assert isinstance(model, Seq2Seq)
        assert (model.decoder.pointer is not None) is there


def test_a_checkpoint_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    config = settings("lm")
    path = tmp_path / "a.safetensors"
    trained(config, LETTERS, path)
    with pytest.raises(CharseqError, match=r"^train\.init_from: .*none: there is no such checkpoi"):
        read_origin(str(tmp_path / "none"), config)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CharseqError, match=r"^train\.init_from: .*damaged: its bytes do not match"):
        read_origin(str(path), config)
    good = trained(config, LETTERS, path)
    weights = {WEIGHTS + name: p.detach() for name, p in good.named_parameters()}
    weights["model.output.bias"] = torch.zeros(1)  # would fit any shape, if it were stretched
    lying = Checkpoint(config, LETTERS, weights, {})
    write_checkpoint(path, lying)
    with pytest.raises(CharseqError, match=r"do not fit the configuration: output\.bias is \(1,\)"):
        read_origin(str(path), config)
