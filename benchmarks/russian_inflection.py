"""Make pairs of Russian inflection: a lemma and tags to the form, `слечь⇥слёг⇥VERB;perf;…;past`.

    pip install pymorphy3
    python benchmarks/russian_inflection.py --out russian

The lemmas and their paradigms are those of OpenCorpora (https://opencorpora.org, CC BY-SA), as
pymorphy3 carries them: nouns, verbs with their participles, adjectives. Each lemma is drawn once,
with one of its forms, so that no lemma is in two files. What a recipe makes of them:

    DATA='--set data.train=russian/train.tsv --set data.valid=russian/valid.tsv
        --set data.test=russian/test.tsv --set data.features_column=3'
    python benchmarks/seeds.py configs/g2p_ady.yaml $DATA --set data.target_separator='""' \\
        --seeds 3 --runs runs/russian
"""

import argparse
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pymorphy3

Pair = tuple[str, str, str]

PARTS_OF_SPEECH = {"NOUN": 0.41, "INFN": 0.41, "ADJF": 0.18}  # and their shares
LEMMA = re.compile("[а-яё]{2,16}")
NAMES = {"Name", "Surn", "Patr", "Geox", "Orgn", "Trad", "Abbr", "Init"}
RARE = {"V-ey", "V-oy", "V-be", "V-ie", "V-bi", "V-en", "V-ej", "V-sh"}
RARE |= {"Arch", "Dist", "Erro", "Infr", "Slng", "Supr", "Cmp2"}


def lemmas(morphology: pymorphy3.MorphAnalyzer) -> dict[str, list[tuple[str, int]]]:
    """By part of speech the lemmas and the numbers of their paradigms."""
    found: dict[str, set[tuple[str, int]]] = {name: set() for name in PARTS_OF_SPEECH}
    for word, tag, _, paradigm, form in morphology.dictionary.iter_known_words(""):
        is_lemma = form == 0 and tag.POS in found and LEMMA.fullmatch(word)
        if is_lemma and not tag.grammemes & NAMES:
            found[tag.POS].add((word, paradigm))
    return {name: sorted(some) for name, some in found.items()}


def forms(morphology: pymorphy3.MorphAnalyzer, lemma: str, paradigm: int) -> Iterator[Pair]:
    """All forms of a lemma; its own is the first of the paradigm."""
    parts = list(morphology.dictionary.build_paradigm_info(paradigm))
    prefix, _, suffix = parts[0]
    stem = lemma[len(prefix) : len(lemma) - len(suffix)]
    for before, tag, after in parts:
        if not tag.grammemes & RARE:
            yield lemma, before + stem + after, ";".join(re.split("[ ,]", str(tag)))


def draw(sizes: dict[str, int], seed: int) -> dict[str, list[Pair]]:
    """Pairs for each file."""
    morphology = pymorphy3.MorphAnalyzer()
    generator = random.Random(seed)
    pairs: dict[str, Pair] = {}
    for part_of_speech, drawn in lemmas(morphology).items():
        generator.shuffle(drawn)
        wanted = len(pairs) + math.ceil(PARTS_OF_SPEECH[part_of_speech] * sum(sizes.values()))
        for lemma, paradigm in drawn:
            if len(pairs) == wanted:
                break
            choice = list(forms(morphology, lemma, paradigm))
            if choice and lemma not in pairs:
                pairs[lemma] = generator.choice(choice)
    rows = list(pairs.values())
    generator.shuffle(rows)
    left = iter(rows)
    return {name: [next(left) for _ in range(size)] for name, size in sizes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("russian"))
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--valid", type=int, default=500)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("train", "valid", "test")}
    options.out.mkdir(parents=True, exist_ok=True)
    for name, pairs in draw(sizes, options.seed).items():
        text = "".join("\t".join(pair) + "\n" for pair in pairs)
        (options.out / f"{name}.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
