"""A model, or an ensemble, is judged on pairs that it was not trained on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charseq.config import config_from_json, dump_config
from charseq.config.schema import Seq2SeqConfig
from charseq.errors import CharseqError
from charseq.inference.load import load_seq2seq
from charseq.inference.trained_seq2seq import Source
from charseq.models.build import build_model
from charseq.models.checkpoint import Checkpoint, write_checkpoint
from charseq.models.checkpoint_file import WEIGHTS
from charseq.text.pairs import load_pairs

LINES = [f"{a}{b}\t{b}{a}" for a in "abcdef" for b in "abcdef"]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(LINES) + "\n")
    return path


def make_run(pairs: Path, name: str, *, extra: dict[str, Any] | None = None, **data: Any) -> str:
    """A model with random weights; its checkpoint is what training on the pairs would leave."""
    settings = {"train": str(pairs), "split": [0.6, 0.2, 0.2], **data}
    config = config_from_json(
        {"task": "seq2seq", "data": settings, "model": {"hidden_size": 8}}, where="a test"
    )
    assert isinstance(config, Seq2SeqConfig)
    corpus = load_pairs(config.data)
    tensors = {
        WEIGHTS + name: parameter.detach()
        for name, parameter in build_model(config, corpus.vocab).named_parameters()
    }
    path = pairs.parent / name / "best.safetensors"
    path.parent.mkdir(exist_ok=True)
    (path.parent / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    extra = {"fingerprint": corpus.fingerprint} if extra is None else extra
    write_checkpoint(path, Checkpoint(config, corpus.vocab, tensors, extra))
    return str(path)


def test_an_ensemble_is_not_judged_on_what_a_member_was_trained_on(pairs: Path) -> None:
    same = [make_run(pairs, name) for name in ("one", "two")]
    moved = make_run(pairs, "moved", split_seed=1)
    silent = make_run(pairs, "silent", extra={})
    sources = [one.source for one in load_seq2seq(*same).split_pairs("valid").examples]
    assert sources == [one.source for one in load_seq2seq(same[0]).split_pairs("valid").examples]
    assert len(sources) == 7
    for other in (moved, silent):
        mixed = load_seq2seq(*same, other)
        for split in ("valid", "test"):
            with pytest.raises(CharseqError) as caught:
                mixed.split_pairs(split)
            assert str(caught.value) == (
                f"{other}: was not trained on the same pairs, split and read in the same way, as"
                f" {same[0]}, and may have seen those that are to be judged; name a file that no"
                " model was trained on with --data FILE"
            )
        (pairs.parent / "more.tsv").write_text("aab\tbaa\n")
        assert len(mixed.file_pairs(str(pairs.parent / "more.tsv"))) == 1
        assert [one.source for one in mixed.convert(["ab", "f"])] == ["ab", "f"]


def test_pairs_that_changed_since_the_training_are_not_split_again(pairs: Path) -> None:
    (pairs.parent / "valid.tsv").write_text("aab\tbaa\n")
    run = make_run(pairs, "run", valid=str(pairs.parent / "valid.tsv"))
    trained = load_seq2seq(run)
    assert trained.fingerprints == (trained.extra["fingerprint"],)
    assert len(trained.split_pairs("test")) == 7
    for damaged in ({}, {"fingerprint": 7}):
        silent = load_seq2seq(make_run(pairs, "silent", extra=damaged))
        assert silent.fingerprints == (None,)
    pairs.write_text("\n".join([*LINES, "abc\tcba"]) + "\n")
    with pytest.raises(CharseqError) as caught:
        trained.split_pairs("test")
    assert str(caught.value) == (
        f"{pairs}: the pairs, or how they are read and split, have changed since the training; its"
        " test part may hold pairs that the model was trained on; name a file that it was not with"
        " --data FILE"
    )
    assert len(trained.split_pairs("valid")) == 1  # a file of its own
    assert len(silent.split_pairs("test")) > 0  # nothing is known
    with pytest.raises(CharseqError, match="its train part may hold others than the model was tr"):
        trained.split_pairs("train")
    pairs.unlink()
    with pytest.raises(CharseqError, match=r"pairs\.tsv"):
        trained.split_pairs("test")


def test_a_file_is_known_again_by_its_path_or_by_its_bytes(pairs: Path) -> None:
    (pairs.parent / "valid.tsv").write_text("aab\tbaa\n")
    copy = pairs.parent / "copy.tsv"
    copy.write_bytes(pairs.read_bytes())
    trained = load_seq2seq(make_run(pairs, "run", valid=str(pairs.parent / "valid.tsv")))
    silent = load_seq2seq(make_run(pairs, "silent", extra={}))
    assert trained.was_trained_on(str(pairs.parent / "." / "pairs.tsv"))
    assert silent.was_trained_on(str(pairs))
    assert trained.was_trained_on(str(copy))
    assert not silent.was_trained_on(str(copy))
    assert not trained.was_trained_on(str(pairs.parent / "valid.tsv"))
    pairs.unlink()
    assert trained.was_trained_on(str(copy))
    for text in ("no pair", "ab\tba\n"):
        copy.write_text(text)
        assert not trained.was_trained_on(str(copy))


def test_the_part_that_was_trained_on_is_there_too(pairs: Path) -> None:
    trained = load_seq2seq(make_run(pairs, "run"))
    parts = [
        {one.source for one in trained.split_pairs(split).examples}
        for split in ("train", "valid", "test")
    ]
    assert [len(part) for part in parts] == [22, 7, 7]  # of 36
    assert set.union(*parts) == {line.split("\t")[0] for line in LINES}


def test_tags_that_every_pair_of_the_training_has(pairs: Path) -> None:
    def usual(text: str, column: int | str | None = 3, **data: Any) -> tuple[str, ...] | None:
        pairs.write_text(text)
        run = make_run(pairs, "run", features_column=column, split=[1, 0, 0], **data)
        return load_seq2seq(run).usual_tags

    assert usual("ab\tba\tV; PST\nb\tb\tN\n") == ("V", "PST")
    assert usual("ab\tba\tV;PST\nb\tb\t\n") == ()
    assert usual("ab\tba\t;\nb\tb\tN\n") == ()
    assert usual("ab\tba\tV\nb\tb\n", errors="skip") == ("V",)  # a line that was left out
    assert usual("ab\tba\tV\n", None) == ()
    named = {"source_column": "word", "target_column": "form"}
    assert usual("word\ttags\tform\nab\tN;PL\tba\n", "tags", **named) == ("N", "PL")
    mixed = {"source_column": "word", "target_column": 2}
    assert usual("word\tform\tlabels\nab\tba\tV\n", 3, **mixed) == ("V",)
    assert usual("word\ttags\tform\nab\tN;PL\tba\n", "tags", **named) == ("N", "PL")
    trained = load_seq2seq(str(pairs.parent / "run"))
    pairs.write_text("other\tnames\n")
    assert trained.usual_tags is None
    trained = load_seq2seq(str(pairs.parent / "run"))
    pairs.unlink()
    assert trained.usual_tags is None


def test_another_treatment_of_unknown_symbols_changes_no_part(pairs: Path) -> None:
    pairs.write_text("\n".join([*LINES, "aé\te", "bê\te"]) + "\n")
    trained = load_seq2seq(make_run(pairs, "run", min_count=2))
    before = [one.source for one in trained.split_pairs("valid").examples]
    for unknown in ("skip", "replace"):
        data = trained.config.data.model_copy(update={"unknown": unknown})
        other = replace(trained, config=trained.config.model_copy(update={"data": data}))
        found = [one.source for one in other.split_pairs("valid").examples]
        assert found == before


def test_wrong_lines_of_another_file_are_left_out_when_asked(pairs: Path) -> None:
    trained = load_seq2seq(make_run(pairs, "run"))
    more = pairs.parent / "more.tsv"
    more.write_text("ab\tba\nno tab\n\tempty\nab\tba\n\nalone\n")
    counts: dict[str, int] = {}
    with pytest.raises(CharseqError, match=r"more\.tsv:2: there is no tab"):
        trained.file_pairs(str(more), skipped=counts)
    assert counts == {}
    left = trained.file_pairs(str(more), skip_errors=True, skipped=counts)
    assert [one.source for one in left.examples] == ["ab"]
    assert counts == {"no tab": 2, "empty source": 1, "duplicate": 1, "empty line": 1}
    assert len(trained.file_pairs(str(more), skip_errors=True)) == 1
    more.write_text("ab\n")
    counts = {}
    with pytest.raises(CharseqError, match="there are no pairs left"):
        trained.file_pairs(str(more), skip_errors=True, skipped=counts)
    assert counts == {"no tab": 1}


def test_one_string_is_not_taken_for_a_list_of_its_letters(pairs: Path) -> None:
    trained = load_seq2seq(make_run(pairs, "run"))
    with pytest.raises(CharseqError, match="takes a list of sources"):
        next(trained.convert("ab"))
    with pytest.raises(CharseqError, match="top_k and top_p are for a draw; give a temperature"):
        next(trained.convert(["ab"], top_k=2))


def test_tags_and_ensembles_are_not_taken_for_what_they_look_like(pairs: Path) -> None:
    run = make_run(pairs, "run")
    with pytest.raises(CharseqError, match=r"tags are a list, such as .*, not the text 'N;PL'"):
        list(load_seq2seq(run).convert([("ab", "N;PL")]))
    with pytest.raises(CharseqError, match="one after the other"):
        load_seq2seq([run, run])  # type: ignore[arg-type]


def test_sources_that_no_training_had_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tagged.tsv"
    path.write_text("".join(f"{line}\tN;PL\n" for line in LINES))
    trained = load_seq2seq(make_run(path, "run", features_column=3, max_source_length=5))
    good: list[Source] = [("ab", ["N", "PL"]), ("ab", []), trained.encode("ab")]
    assert len(list(trained.convert(good))) == 3
    for source, why in (
        (
            "ab",
            r"source 1 has no tags, .* give the two together, as in \('ab', \['N', 'PL'\]\)",
        ),
        (5, "source 1 is a int; it has to be a text, or a text and a list of its tags"),
        (("ab", None), "source 1 is a tuple; it has"),
        (("ab", ["N"], 1), "source 1 is a tuple; it has"),
        (("ababab", ["N"]), r"source 1: has 6 symbols, .* at most 5 \(data\.max_source_length\)"),
    ):
        with pytest.raises(CharseqError, match=why):
            list(trained.convert([source]))  # type: ignore[list-item]
    with pytest.raises(CharseqError, match="unknown is 'foo'; choose one of error, skip, replace"):
        list(trained.convert([("ab", [])], unknown="foo"))  # type: ignore[arg-type]


def test_a_source_is_as_long_as_the_training_reads_it(pairs: Path) -> None:
    trained = load_seq2seq(make_run(pairs, "run", normalize="NFC", max_source_length=2))
    (found,) = trained.convert(["ae\u0301"], unknown="skip")  # two characters in NFC
    assert found.outputs
