"""Small texts and small model directories for the tests of training, evaluation and export."""

import json
import random
from pathlib import Path
from typing import Any

import torch
from forked_command import run
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from horoscope.dataset.examples import Example, write_examples
from horoscope.zodiac import Sign, Topic

OPENINGS = [
    "Сегодня хорошо заняться делами, которые давно ждут внимания.",
    "Утро подойдёт для спокойной работы и коротких разговоров.",
    "День принесёт приятную встречу и несколько полезных новостей.",
    "Не спешите с решениями, даже если вас об этом просят.",
    "С утра проверьте свои планы и оставьте время на отдых.",
]
MIDDLES = {
    Topic.GENERAL: ["Близкие помогут советом, если вы спросите.", "Деньги лучше пока не тратить."],
    Topic.LOVE: ["Любимый человек ждёт тёплых слов.", "Вечер вдвоём подарит вам радость."],
    Topic.BUSINESS: ["Коллеги оценят ваш честный труд.", "Начальник заметит ваши старания."],
}
ENDINGS = [
    "Вечером погуляйте и лягте спать пораньше.",
    "Вечер проведите дома, с хорошей книгой.",
    "Перед сном позвоните старому другу.",
]


def made_examples(count: int, seed: int) -> list[Example]:
    """Texts put together from a few sentences: easy to learn in a hundred steps."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        topic = dice.choice(list(Topic))
        openings = dice.sample(OPENINGS, dice.choice([1, 2, 2, 3]))
        endings = dice.sample(ENDINGS, dice.choice([1, 2]))
        sentences = [*openings, *MIDDLES[topic], *endings]
        made.append(Example(dice.choice(list(Sign)), topic, " ".join(sentences), None, "plain"))
    return made


def prepared(directory: Path, texts: int = 64) -> Path:
    """A directory as `horoscope data prepare` makes it."""
    directory.mkdir(parents=True, exist_ok=True)
    write_examples(directory / "train.jsonl", made_examples(texts, 1))
    write_examples(directory / "validation.jsonl", made_examples(12, 2))
    write_examples(directory / "test.jsonl", made_examples(12, 3))
    return directory


def learned(source: Path, data: Path, output: Path) -> Path:
    """Train until the model writes sentences, and export."""
    printed = output.parent / "printed"
    for arguments in (
        [
            *("train", "--model", source, "--data", data, "--output", output, "--batch-size", 16),
            *("--steps", 200, "--evaluate-every", 50, "--learning-rate", 0.005),
        ],
        ["export", output],
    ):
        code, said = run(printed, *arguments)
        assert code == 0, said
    return output


def _texts() -> list[str]:
    prompts = [f"{sign.russian.lower()}, любовь\n{sign.russian.lower()}, работа\n" for sign in Sign]
    return [*prompts, *(e.text for e in made_examples(200, 0))]


def rugpt3_like(directory: Path, marks: bool = True, width: int = 48) -> Path:
    """The files of ai-forever/rugpt3small_based_on_gpt2 at small width: GPT-2 with old `.bin`
    weights, vocab.json and merges.txt, and a few more rows than tokens. Without `marks` no file
    says which tokens begin and end a text, as in the repository's first version."""
    directory.mkdir(parents=True)
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        _texts(),
        BpeTrainer(
            vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.model.save(str(directory))
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokenizer.get_vocab_size() + 7,
            n_positions=256,
            n_embd=width,
            n_layer=2,
            n_head=2,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            architectures=["GPT2LMHeadModel"],
        )
    )
    weights = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    for layer in range(2):  # buffers that files of those days still held
        weights[f"transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 256, 256).tril().byte()
        weights[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(weights, directory / "pytorch_model.bin")
    model.config.save_pretrained(directory)
    if marks:
        names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
        _write_json(
            directory / "special_tokens_map.json", {f"{k}_token": v for k, v in names.items()}
        )
    _write_json(directory / "tokenizer_config.json", {"model_max_length": 256})
    return directory


def llama_like(directory: Path) -> Path:
    """Llama's architecture (rotary positions, grouped attention, untied output) with its kind of
    tokenizer: words begin with «▁», unknown characters are bytes."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *byte_tokens]
    trainer = BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    # Words as SentencePiece cuts them.
    words = [piece for text in _texts() for piece in text.split()]
    tokenizer.train_from_iterator(words, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    return _save(directory, LlamaForCausalLM(config), fast)


def qwen_like(directory: Path) -> Path:
    """Qwen's architecture with its kind of tokenizer: no begin mark, `<|endoftext|>` at the end,
    and lengths of their last use left in tokenizer.json."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        _texts(), BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|im_start|>")])
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    config = Qwen2Config(
        vocab_size=len(fast) - 2,  # the end mark has no row yet
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=0,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return _save(directory, Qwen2ForCausalLM(config), fast)


def as_gguf(directory: Path, path: Path) -> Path:
    """The model of `qwen_like` as a GGUF file, the form in which llama.cpp's users share models."""
    import gguf

    model = Qwen2ForCausalLM.from_pretrained(directory)
    content = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"] | {
        t["content"]: t["id"] for t in content["added_tokens"]
    }
    config = model.config
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__)[: config.vocab_size])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":  # tied to the embedding
            short = names.get_name(name, try_suffixes=(".weight", ".bias"))
            writer.add_tensor(short, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _save(directory: Path, model: Any, tokenizer: PreTrainedTokenizerFast) -> Path:
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
