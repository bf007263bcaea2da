"""The training loop: what a run learns depends on its options and texts alone, not on how often
it was interrupted."""

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from horoscope.errors import HoroscopeError, InputError
from horoscope.training.examples import Batch, TokenizedExample, collate, in_batches, order

CHECKPOINT_FILE = "checkpoint.pt"
BEST_FILE = "best.pt"


class InterruptedTraining(HoroscopeError):
    """Ctrl-C or SIGTERM came; the state is saved."""

    exit_code = 130


@dataclass(frozen=True)
class Plan:
    """The options that decide what is learned; a run is resumed with the same ones only."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup: float
    """Share of the steps in which the learning rate rises."""
    weight_decay: float
    seed: int
    evaluate_every: int
    """Steps between validations."""
    keep: str
    """Which weights the model is left with: those "best" by validation, or the "last"."""
    fingerprint: str
    """Checksum of model, texts and remaining options."""


@dataclass
class Progressed:
    """What a run has reached."""

    step: int = 0
    best_step: int = 0
    best_bits: float = math.inf
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last validation, nats a token."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row for each validation: step, loss (mean, nats a token), bits_per_character."""


def devices() -> Accelerator:
    """The device to train on, or this process's one of several (under `accelerate launch`)."""
    return Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="bf16" if _bf16_pays() else "no",
    )


def train(
    model: Any,
    plan: Plan,
    training: Sequence[TokenizedExample],
    validation: Sequence[TokenizedExample],
    state: Path,
    checkpoint_seconds: float = 300.0,
    micro_batch_size: int | None = None,
    accelerator: Accelerator | None = None,
) -> Progressed:
    """Train `model` in place and leave it with the weights to keep; the way there is in `state`.

    If `state` holds a checkpoint the run goes on from it. `micro_batch_size` texts are computed
    at once (default: the whole batch), which bounds memory. Raises InterruptedTraining after
    Ctrl-C or SIGTERM (the state is saved), InputError if the checkpoint is of another run,
    HoroscopeError if memory or disk are full or the loss is no number any more.
    """
    accelerator = accelerator or devices()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": plan.weight_decay},
            {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    plain = accelerator.unwrap_model(model)
    progressed = _load(state, plan, plain, optimizer)
    main = accelerator.is_main_process

    def save() -> None:
        if main:
            _save_checkpoint(state, plan, plain, optimizer, progressed)

    saved_at = time.monotonic()
    batches = _batches(plan, training, progressed.step, accelerator)
    with _interruptible() as interrupted, _bar(plan, progressed, main) as show:

        def validated(share: float) -> None:
            show(share)
            if accelerator.num_processes == 1:  # several agree after a step only
                _stop_if(interrupted)

        try:
            while True:
                if _is_validation_due(plan, progressed):
                    size = micro_batch_size or plan.batch_size
                    bits = bits_per_character(plain, validation, size, validated)
                    if _score(progressed, bits) and plan.keep == "best" and main:
                        _save(state / BEST_FILE, _trained_weights(plain))
                    show(None)
                if progressed.step == plan.steps:
                    break
                for group in optimizer.param_groups:
                    group["lr"] = _learning_rate(plan, progressed.step)
                # Dropout's random numbers are the step's own, so that a resumed run repeats them.
                torch.manual_seed(
                    (plan.seed * 1_000_003 + progressed.step) * accelerator.num_processes
                    + accelerator.process_index
                )
                model.train()
                loss = _backward(accelerator, model, next(batches), micro_batch_size)
                if not math.isfinite(loss):
                    raise HoroscopeError(
                        f"The loss is no number any more at step {progressed.step + 1}: "
                        "start again with a lower --learning-rate."
                    )
                accelerator.clip_grad_norm_(trainable, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                progressed.step += 1
                progressed.losses.append(loss)
                show(None)
                _stop_if(_agreed(accelerator, interrupted))
                if time.monotonic() - saved_at > checkpoint_seconds:
                    save()
                    saved_at = time.monotonic()
            save()
        except _Stop:
            save()
            raise InterruptedTraining(
                f"Stopped at step {progressed.step} of {plan.steps}; the state is saved. "
                "Go on with the same command and --resume."
            ) from None
        except torch.OutOfMemoryError:
            raise HoroscopeError(
                f"The GPU's memory is too small for {micro_batch_size or plan.batch_size} texts "
                "at once: give a smaller --micro-batch-size; the result is the same."
            ) from None
    accelerator.wait_for_everyone()
    if plan.keep == "best":
        best = torch.load(state / BEST_FILE, weights_only=True, map_location="cpu")
        plain.load_state_dict(best, strict=False)
    return progressed


@torch.no_grad()
def bits_per_character(
    model: Any,
    examples: Sequence[TokenizedExample],
    batch_size: int = 32,
    on_batch: Callable[[float], object] = lambda _: None,
) -> float:
    """How many bits the model needs for a character of the texts, end marks included.

    Unlike perplexity it compares models with different tokenizers. `on_batch` hears of the share
    that is done.
    """
    model.eval()
    device = next(model.parameters()).device
    nats, characters, done = 0.0, 0, 0
    for group in in_batches(examples, batch_size):
        nats += float(_nats(model, collate(group, device)))
        characters += sum(example.characters for example in group)
        done += len(group)
        on_batch(done / len(examples))
    return nats / math.log(2) / max(1, characters)


class _Stop(Exception):
    """Leaves the loop between two steps."""


def _stop_if(interrupted: Sequence[int]) -> None:
    if interrupted:
        raise _Stop


def _agreed(accelerator: Accelerator, interrupted: Sequence[int]) -> Sequence[int]:
    """All processes stop after the same step, whichever of them heard the signal first."""
    if accelerator.num_processes == 1:
        return interrupted
    heard = torch.tensor([len(interrupted)], device=accelerator.device)
    return [1] if int(accelerator.reduce(heard)) else []


def _is_validation_due(plan: Plan, progressed: Progressed) -> bool:
    step = progressed.step
    validated = progressed.history[-1]["step"] if progressed.history else 0
    return step > validated and (step % plan.evaluate_every == 0 or step == plan.steps)


def _score(progressed: Progressed, bits: float) -> bool:
    """Note a validation; whether it is the best so far."""
    mean = sum(progressed.losses) / len(progressed.losses)
    progressed.losses = []
    progressed.history.append({"step": progressed.step, "loss": mean, "bits_per_character": bits})
    if not bits < progressed.best_bits:
        return False
    progressed.best_bits, progressed.best_step = bits, progressed.step
    return True


def _nats(model: Any, batch: Batch) -> torch.Tensor:
    """The loss of a batch, summed over the tokens of its texts."""
    # What pads a text stands behind it and is seen by none of its tokens: it needs no mask.
    logits = model(input_ids=batch.ids, use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten(), reduction="sum"
    )


def _backward(
    accelerator: Accelerator,
    model: Any,
    batch: "_Part",
    micro_batch_size: int | None,
) -> float:
    """Add up the gradients of a batch's mean loss a token; that loss, over all processes."""
    size = micro_batch_size or len(batch.examples)
    total = torch.zeros((), device=accelerator.device)
    for start in range(0, len(batch.examples), size):
        part = collate(batch.examples[start : start + size], accelerator.device)
        # The processes' gradients are averaged, so each counts its share of the sum anew.
        loss = _nats(model, part) * (accelerator.num_processes / batch.tokens)
        accelerator.backward(loss)
        total += loss.detach()
    return float(accelerator.reduce(total, reduction="mean"))


@dataclass(frozen=True)
class _Part:
    """One process's texts of a batch, and how many tokens the texts of the whole batch have."""

    examples: list[TokenizedExample]
    tokens: int


def _batches(
    plan: Plan, examples: Sequence[TokenizedExample], step: int, accelerator: Accelerator
) -> Iterator[_Part]:
    """This process's part of each batch, from step `step` on, epoch after epoch."""
    lengths = [len(example.ids) for example in examples]
    per_epoch = math.ceil(len(examples) / plan.batch_size)
    epoch, skip = divmod(step, per_epoch)
    while True:
        for indices in order(lengths, plan.batch_size, plan.seed, epoch)[skip:]:
            mine = [
                examples[i] for i in indices[accelerator.process_index :: accelerator.num_processes]
            ]
            if not mine:  # a last, small batch: take part with a text that counts for nothing
                first = examples[indices[0]]
                mine = [replace(first, prompt_length=len(first.ids))]
            yield _Part(mine, sum(examples[i].text_tokens for i in indices))
        epoch, skip = epoch + 1, 0


def _learning_rate(plan: Plan, step: int) -> float:
    """Linear rise, then a cosine down to a tenth."""
    warmup = max(1, round(plan.steps * plan.warmup))
    if step < warmup:
        return plan.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, plan.steps - warmup)
    return plan.learning_rate * (0.55 + 0.45 * math.cos(math.pi * done))


def _bf16_pays() -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones.

    An Intel processor does with AMX; without, its AVX-512 instruction for it makes training 1.5
    times slower, while AMD's makes it faster (measured on both).
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    file = Path("/proc/cpuinfo")
    processor = file.read_text() if file.is_file() else ""
    return "amx_bf16" in processor or ("avx512_bf16" in processor and "AuthenticAMD" in processor)


def _trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """What training changes: all weights, or with LoRA the adapters."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name in trained}


def _save(path: Path, content: Any) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        # torch raises an error of its own about the file's end, on top of the disk's.
        cause = error if isinstance(error, OSError) else error.__context__
        reason = (cause.strerror if isinstance(cause, OSError) else None) or "is the disk full?"
        raise HoroscopeError(
            f"Cannot write {path}: {reason}; make room and go on with --resume."
        ) from None


def _save_checkpoint(
    state: Path, plan: Plan, model: Any, optimizer: Any, progressed: Progressed
) -> None:
    _save(
        state / CHECKPOINT_FILE,
        {
            "plan": json.dumps(asdict(plan)),
            "progressed": json.dumps(asdict(progressed)),
            "weights": _trained_weights(model),
            "optimizer": optimizer.state_dict(),
        },
    )


def _load(state: Path, plan: Plan, model: Any, optimizer: Any) -> Progressed:
    path = state / CHECKPOINT_FILE
    if not path.is_file():
        return Progressed()
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # a damaged file makes the library raise anything
        raise InputError(f"{path} is damaged: delete {state} and start again.") from None
    before = json.loads(saved["plan"])
    for name, value in asdict(plan).items():
        if before.get(name) == value:
            continue
        if name == "fingerprint":
            raise InputError(
                f"{path} is of a run with another model or other texts: give the same ones, or a "
                "new --output."
            )
        raise InputError(
            f"{path} is of a run with another {name.replace('_', ' ')} "
            f"({before.get(name)}, now {value}): use the same options, or a new --output."
        )
    model.load_state_dict(saved["weights"], strict=False)
    optimizer.load_state_dict(saved["optimizer"])
    return Progressed(**json.loads(saved["progressed"]))


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of dying of them; empty while none came."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: came.append(n))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(
    plan: Plan, progressed: Progressed, shown: bool
) -> Iterator[Callable[[float | None], None]]:
    """A progress bar with the time left, and a function that shows what is reached, or the share
    of a validation that is done."""
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}, best {task.fields[bits]:.4f} bits/char"),
    )
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(
            "step", total=plan.steps, completed=progressed.step, loss=0.0, bits=progressed.best_bits
        )

        def show(validated: float | None) -> None:
            description = "step" if validated is None else f"validating {validated:.0%}, step"
            fields: dict[str, Any] = {"bits": progressed.best_bits}
            if progressed.losses:
                fields["loss"] = progressed.losses[-1]
            progress.update(task, description=description, completed=progressed.step, **fields)

        yield show
