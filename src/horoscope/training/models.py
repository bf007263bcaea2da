"""Where a model to train comes from: the Hugging Face hub, a directory, or a fresh start."""

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, snapshot_download
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from horoscope.errors import HoroscopeError, InputError

BEGIN, END, PAD = "<s>", "</s>", "<pad>"


@dataclass(frozen=True)
class Preset:
    """A GPT-2 shape trained from scratch, with a tokenizer of its own texts."""

    width: int
    layers: int
    heads: int
    vocabulary: int


PRESETS = {
    "tiny": Preset(width=256, layers=6, heads=4, vocabulary=6144),
    "small": Preset(width=512, layers=8, heads=8, vocabulary=8192),
}
PRESET_CONTEXT = 512  # tokens; horoscopes have about 100


def fresh_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the texts; most of their words become one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD
    )


def fresh_model(preset: Preset, vocabulary: int, dropout: float) -> GPT2LMHeadModel:
    """A GPT-2 with random weights (from torch's global random numbers)."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=PRESET_CONTEXT,
            n_embd=preset.width,
            n_layer=preset.layers,
            n_head=preset.heads,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


def load_pretrained(source: str) -> tuple[Any, PreTrainedTokenizerFast]:
    """Model (float32) and tokenizer from a directory, a GGUF file or the hub.

    Raises InputError if `source` is none of them, or is not complete; HoroscopeError if the hub
    cannot be reached.
    """
    directory = Path(source).expanduser()
    if directory.suffix == ".gguf":
        return _load_gguf(directory)
    if not directory.exists():
        if source.startswith((".", "/", "~")) or source.count("/") > 1:
            raise InputError(f"There is no model directory {source}.")
        directory = _fetch(source)
    _check_directory(directory)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(directory)
        read: Any = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, output_loading_info=True
        )
        model, loaded = read
    except Exception as error:  # a damaged file makes the libraries raise anything
        raise _unreadable(directory, error) from None
    if loaded["missing_keys"]:
        some = sorted(loaded["missing_keys"])[0]
        raise InputError(f"The weights of {source} are not complete: {some} is missing.")
    if not tokenizer.is_fast:
        raise InputError(f"The tokenizer of {source} has no fast (tokenizer.json) form.")
    # Some tokenizer files come with the lengths of their last use.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return model, tokenizer


def _load_gguf(path: Path) -> tuple[Any, PreTrainedTokenizerFast]:
    """The weights of a GGUF file, whatever they are compressed to, as float32."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        read: Any = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )
    except ImportError:
        raise InputError("Reading GGUF files needs a package: pip install gguf.") from None
    except Exception as error:
        raise _unreadable(path, error) from None
    # What comes from a GGUF file cannot be saved; a model like it that was made afresh can.
    config = read.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict())
    return model, tokenizer


def _unreadable(model: Path, error: Exception) -> InputError:
    reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
    return InputError(f"The model {model} cannot be read ({reason}); half a download?")


def complete_vocabulary(model: Any, tokenizer: PreTrainedTokenizerFast) -> bool:
    """Give a tokenizer without an end mark one, and each of its tokens a row of the embeddings.

    Returns whether rows had to be added: they are random until the whole model is trained.
    """
    if tokenizer.eos_token_id is None:
        tokenizer.add_special_tokens({"eos_token": END})
    rows = int(model.get_input_embeddings().num_embeddings)
    if len(tokenizer) <= rows:
        return False
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return True


def begin_and_end(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], int]:
    """The ids before a prompt (none without a begin mark) and the id after a text."""
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return begin, int(tokenizer.eos_token_id)


def with_lora(model: Any, rank: int) -> Any:
    """`model` frozen, with low-rank adapters (LoRA, arXiv:2106.09685) on every linear layer."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def _fetch(name: str) -> Path:
    """The files of a model on the Hugging Face hub, in the hub's cache on this machine; what is
    there already is not fetched again, and is enough without a network."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        files = [file.rfilename for file in HfApi().model_info(name, timeout=20).siblings or []]
        safe = any(file.endswith(".safetensors") for file in files)
        weights = "*.safetensors" if safe else "pytorch_model*.bin"
        wanted = ["*.json", "*.txt", "*.model", weights]
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except Exception as error:  # no network, no such model, a full disk, ...
        with contextlib.suppress(Exception):
            return Path(snapshot_download(name, local_files_only=True))
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise HoroscopeError(
            f"The model {name} cannot be fetched from the Hugging Face hub ({reason.strip()}); "
            "check the name and the network, or give a directory."
        ) from None


def _check_directory(directory: Path) -> None:
    if not (directory / "config.json").is_file():
        raise InputError(f"{directory} has no config.json: it is no Hugging Face model directory.")
    weights = (*directory.glob("*.safetensors"), *directory.glob("pytorch_model*.bin"))
    if not weights:
        raise InputError(
            f"{directory} has no weights (model.safetensors or pytorch_model.bin); half a download?"
        )
    names = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt")
    if not any((directory / name).is_file() for name in names):
        raise InputError(
            f"{directory} has no tokenizer (tokenizer.json, or vocab.json and merges.txt)."
        )
    if (directory / "vocab.json").is_file() and not any(
        (directory / name).is_file() for name in ("tokenizer.json", "merges.txt")
    ):
        raise InputError(f"{directory} has vocab.json but no merges.txt; half a download?")
