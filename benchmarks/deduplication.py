"""How fast near-duplicates are found, in CPU seconds: ours (rensa) against datasketch.

    python benchmarks/deduplication.py [--texts 100000] [--json]

The texts are put together at random from the sentences of our own corpora, five in each; every
tenth is an earlier one with one sentence changed.
"""

import argparse
import json
import random
import re
import time
from itertools import pairwise

from datasketch import MinHash, MinHashLSH

from horoscope.corpus import CORPORA, corpus_path
from horoscope.dataset.cleaning import sentences
from horoscope.dataset.deduplication import BANDS, PERMUTATIONS, SAME, find_duplicates

BASELINE_TEXTS = 2_000  # datasketch is timed on these, as all would take minutes


def made_up_texts(count: int) -> list[str]:
    drawn = random.Random(0)
    lines = [line for name in CORPORA for line in corpus_path(name).read_text("utf-8").splitlines()]
    pool = [s for line in lines for s in sentences(json.loads(line)["text"])]
    texts: list[list[str]] = []
    for number in range(count):
        if number % 10 == 9:
            text = list(drawn.choice(texts))
            text[drawn.randrange(5)] = drawn.choice(pool)
        else:
            text = drawn.sample(pool, 5)
        texts.append(text)
    return [" ".join(text) for text in texts]


def datasketch_repeats(texts: list[str]) -> int:
    """The same bands, rows and threshold with datasketch."""
    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    signatures: dict[int, MinHash] = {}
    repeats = 0
    for place, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        signature = MinHash(PERMUTATIONS)
        signature.update_batch([" ".join(pair).encode() for pair in pairwise(words)])
        if any(signature.jaccard(signatures[key]) >= SAME for key in index.query(signature)):
            repeats += 1
            continue
        signatures[place] = signature
        index.insert(place, signature)
    return repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = made_up_texts(options.texts)

    started = time.process_time()
    found = len(find_duplicates(texts).repeats)
    seconds = time.process_time() - started
    baseline_texts = texts[:BASELINE_TEXTS]
    started = time.process_time()
    find_duplicates(baseline_texts)
    ours = time.process_time() - started
    started = time.process_time()
    datasketch_repeats(baseline_texts)
    baseline = time.process_time() - started

    figures = {
        "texts": len(texts),
        "near_duplicates": found,
        "seconds": round(seconds, 1),
        f"seconds_{len(baseline_texts)}": round(ours, 2),
        f"seconds_{len(baseline_texts)}_datasketch": round(baseline, 2),
        "times_as_fast": round(baseline / ours, 1),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<26}{value:>10,}")


if __name__ == "__main__":
    main()
