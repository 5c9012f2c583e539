"""Further training pairs, made of the beginning of one and the end of another.

Two pairs may be cut and joined where both sources hold the same two symbols, and the first of them
became the same (``alignment.py``):

    s i|n g    S IH|NG              s i|n k     S IH|NG K
    w i|n k    W IH|NG K            w i|n g     W IH|NG

So all that stands around a seam stood in a training pair too. After Ryan and Hulden 2020, "Data
augmentation for transformer-based G2P". It is for few pairs, whose targets follow the order of
their sources; a splice does not know the ways of a whole word, such as where its stress lies.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from charseq.config.schema.seq2seq import Seq2SeqTrainConfig
from charseq.text.alignment import align
from charseq.text.pair_batches import PairBatches
from charseq.text.pair_vocab import SOURCE_UNKNOWN, PairVocab
from charseq.text.pairs import Example, PairCorpus, Pairs
from charseq.text.ragged import Int64s, Ragged

TRIES = 1000  # draws in a row of what is there already, before all is taken for found

Place = tuple[int, int, int]  # a row, how many symbols stand before the seam, in source and target


def training_batches(corpus: PairCorpus, settings: Seq2SeqTrainConfig) -> PairBatches:
    """The batches of a training: of its pairs, and of those that are spliced from them."""
    pairs = corpus.train
    if settings.spliced_pairs:
        pairs = with_spliced(pairs, corpus.vocab, settings.spliced_pairs, settings.seed)
    return PairBatches(pairs, settings.batch_size, settings.seed)


def with_spliced(pairs: Pairs, vocab: PairVocab, count: int, seed: int) -> Pairs:
    """The pairs, and after them up to ``count`` that are spliced from them.

    Both halves have the same tags; no source is there twice, and none is longer than the longest.
    There are fewer where ``TRIES`` draws find none that is new.
    """
    tags, symbols = _tags_apart(pairs, vocab)
    seams = _seams(tags, symbols, pairs.target)
    seam_of = np.repeat(np.arange(len(seams)), [len(places) for places in seams])
    longest = int(symbols.lengths.max(initial=0))
    known = {row.tobytes() for row in pairs.source}
    sources: list[Int64s] = []
    targets: list[Int64s] = []
    examples = list(pairs.examples)
    generator = np.random.default_rng(seed)
    tries = 0
    while seams and len(sources) < count and tries < TRIES:
        tries += 1
        places = seams[seam_of[generator.integers(len(seam_of))]]
        (row, cut, written), (other, from_cut, from_written) = (
            places[i] for i in generator.integers(len(places), size=2)
        )
        word = np.concatenate((symbols[row][:cut], symbols[other][from_cut:]))
        source = np.concatenate((tags[row], word))
        if row == other or len(word) > longest or source.tobytes() in known:
            continue
        tries = 0
        known.add(source.tobytes())
        sources.append(source)
        targets.append(
            np.concatenate((pairs.target[row][:written], pairs.target[other][from_written:]))
        )
        text = vocab.source.join(vocab.source_symbols(word))
        features = pairs.examples[pairs.example_of[row]].features
        examples.append(Example(text, features, (vocab.decode_target(targets[-1]),)))
    added = np.arange(len(pairs.examples), len(examples))
    return Pairs(
        examples=examples,
        source=pairs.source.above(Ragged.from_rows(sources)),
        target=pairs.target.above(Ragged.from_rows(targets)),
        example_of=np.concatenate((pairs.example_of, added)),
    )


def _tags_apart(pairs: Pairs, vocab: PairVocab) -> tuple[Ragged, Ragged]:
    """The tags of each source, which stand first, and its symbols.

    A rare one of either is ``SOURCE_UNKNOWN``, or has been left out (``data.unknown: skip``).
    """
    counts = np.array([len(pairs.examples[number].features) for number in pairs.example_of])
    source = pairs.source
    within = np.arange(len(source.flat)) - np.repeat(source.offsets[:-1], source.lengths)
    can_be = (source.flat == SOURCE_UNKNOWN) | (source.flat > len(vocab.source))
    is_tag = can_be & (within < np.repeat(counts, source.lengths))
    return source.keep(is_tag), source.keep(~is_tag)


def _seams(tags: Ragged, symbols: Ragged, targets: Ragged) -> Sequence[Sequence[Place]]:
    """The places of each seam that several rows have."""
    places_of: defaultdict[tuple[bytes, bytes, bytes], list[Place]] = defaultdict(list)
    ends = Ragged(align(symbols, targets).astype(np.int32), symbols.offsets)
    for row, (tag, word, target, end) in enumerate(zip(tags, symbols, targets, ends, strict=True)):
        begin = 0
        for cut in range(1, len(word) if end[0] >= 0 else 0):
            written = int(end[cut - 1])
            seam = word[cut - 1 : cut + 1].tobytes(), target[begin:written].tobytes()
            places_of[tag.tobytes(), *seam].append((row, cut, written))
            begin = written
    return [places for places in places_of.values() if len({row for row, *_ in places}) > 1]
