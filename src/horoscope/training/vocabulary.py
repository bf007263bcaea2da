"""A large vocabulary cut to the tokens in use: a model of many languages, kept for one."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from horoscope.errors import InputError

MULTIPLE = 64  # rows of the embedding: matrix multiplication likes round numbers


def trim_vocabulary(
    model: Any, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]
) -> PreTrainedTokenizerFast:
    """Keep the tokens that `texts` need and every single character; drop the others' rows.

    The texts are cut into the same tokens as before. `model` loses the rows in place; the
    tokenizer that goes with it is returned. Raises InputError if the tokenizer is not a BPE one.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    bpe = content["model"]
    if bpe["type"] != "BPE":
        raise InputError(f"--trim-vocabulary knows BPE tokenizers; this is {bpe['type']}.")
    vocabulary: dict[str, int] = bpe["vocab"]
    named = {token for token in tokenizer.special_tokens_map.values() if isinstance(token, str)}
    added = {each["content"]: each for each in content["added_tokens"] if each["content"] in named}
    kept = _needed(tokenizer.backend_tokenizer, bpe, texts) | set(added)
    # Rows are filled up with the tokens of the lowest numbers: the commonest come first.
    lowest = iter(sorted(vocabulary, key=vocabulary.__getitem__))
    pairs = [(*_pair(merge), merge) for merge in bpe["merges"]]
    while len(kept) % MULTIPLE and (token := next(lowest, None)) is not None:
        kept.add(token)
    ids = vocabulary | {token: each["id"] for token, each in added.items()}
    order = sorted(kept, key=ids.__getitem__)
    new = {token: number for number, token in enumerate(order)}
    bpe["vocab"] = {token: new[token] for token in order if token in vocabulary}
    bpe["merges"] = [merge for a, b, merge in pairs if {a, b, a + b} <= kept]
    content["added_tokens"] = [each | {"id": new[token]} for token, each in added.items()]
    content["post_processor"] = None  # begin and end marks are set by us
    _keep_rows(model, [ids[token] for token in order])
    trimmed = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)), **tokenizer.special_tokens_map
    )
    for config in (model.config, model.generation_config):
        for mark in ("bos", "eos", "pad"):
            setattr(config, f"{mark}_token_id", getattr(trimmed, f"{mark}_token_id"))
    return trimmed


def _needed(tokenizer: Tokenizer, bpe: dict[str, Any], texts: Iterable[str]) -> set[str]:
    """The tokens of the texts, the shorter ones that they are merged from, single characters."""
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    used = {token for each in encoded for token in each.tokens}
    single = {t for t in bpe["vocab"] if len(t) == 1 or (t.startswith("<0x") and t.endswith(">"))}
    alphabet = {character for token in used for character in token}
    # Of the characters of all the world's scripts, those of the texts' own and ASCII.
    kept = {t for t in single if len(t) > 1 or len(single) <= 512 or t in alphabet or t.isascii()}
    rank = {_pair(merge): number for number, merge in enumerate(bpe["merges"])}
    for token in used:
        kept.update(_merged(token, rank))
    return kept & set(bpe["vocab"])


def _merged(token: str, rank: dict[tuple[str, str], int]) -> set[str]:
    """The token, and all that stand on the way to it from its characters."""
    parts = list(token)
    seen = {token, *parts}
    while len(parts) > 1:
        ranks = [rank.get(pair, len(rank)) for pair in itertools.pairwise(parts)]
        at = min(range(len(ranks)), key=ranks.__getitem__)
        if ranks[at] == len(rank):
            break  # a token that no merge makes, as special ones are
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        seen.add(parts[at])
    return seen


def _pair(merge: str | list[str]) -> tuple[str, str]:
    """A merge, which tokenizer files write as «a b» or as a list."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


@torch.no_grad()
def _keep_rows(model: Any, rows: list[int]) -> None:
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    inputs = model.get_input_embeddings().weight[rows].clone()
    outputs = None if tied else model.get_output_embeddings().weight[rows].clone()
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    model.get_input_embeddings().weight.copy_(inputs)
    if outputs is not None:
        model.get_output_embeddings().weight.copy_(outputs)
