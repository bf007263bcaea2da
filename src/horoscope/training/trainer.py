"""The training loop: what a run learns depends on its options and texts alone, not on how often
it was interrupted."""

import json
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from horoscope.errors import HoroscopeError, InputError
from horoscope.training.examples import TokenizedExample, collate, in_batches, order

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
    fingerprint: str
    """Checksum of model, texts and remaining options."""


@dataclass
class Progressed:
    """What a run has reached."""

    step: int = 0
    best_step: int = 0
    best_bits: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)
    """A row for each validation: step, loss (nats a token), bits_per_character."""


def train(
    model: Any,
    plan: Plan,
    training: Sequence[TokenizedExample],
    validation: Sequence[TokenizedExample],
    state: Path,
    checkpoint_seconds: float = 300.0,
) -> Progressed:
    """Train `model` in place and leave it with its best weights; the way there is in `state`.

    If `state` holds a checkpoint the run goes on from it. Raises InterruptedTraining after
    Ctrl-C or SIGTERM (the state is saved), InputError if the checkpoint is of another run.
    """
    accelerator = Accelerator(mixed_precision="bf16" if _bf16_pays() else "no")
    torch.manual_seed(plan.seed)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": plan.weight_decay},
            {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
        betas=(0.9, 0.95),
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    plain = accelerator.unwrap_model(model)
    progressed, losses = _load(state, plan, plain, optimizer)
    main = accelerator.is_main_process
    saved_at = time.monotonic()
    with _interruptible() as interrupted, _bar(plan, progressed, main) as move:
        batches = _batches(plan, training, progressed.step, accelerator)
        while progressed.step < plan.steps:
            # Dropout's random numbers are the step's own, so that a resumed run repeats them.
            torch.manual_seed(plan.seed * 1_000_003 + progressed.step)
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(plan, progressed.step)
            batch = collate(next(batches), accelerator.device)
            model.train()
            logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
            loss = torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten()
            )
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trainable, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            progressed.step += 1
            losses.append(loss.detach())
            move(float(losses[-1]))
            last = progressed.step == plan.steps
            if progressed.step % plan.evaluate_every == 0 or last:
                bits = bits_per_character(plain, validation, plan.batch_size)
                mean = float(torch.stack(losses).mean())
                losses = []
                progressed.history.append(
                    {"step": progressed.step, "loss": mean, "bits_per_character": bits}
                )
                if bits < progressed.best_bits:
                    progressed.best_bits, progressed.best_step = bits, progressed.step
                    if main:
                        _save(state / BEST_FILE, _trained_weights(plain))
            due = time.monotonic() - saved_at > checkpoint_seconds
            if main and (due or last or interrupted):
                _save_checkpoint(state, plan, plain, optimizer, progressed, losses)
                saved_at = time.monotonic()
            if interrupted:
                raise InterruptedTraining(
                    f"Stopped at step {progressed.step} of {plan.steps}; the state is saved. "
                    "Go on with the same command and --resume."
                )
    accelerator.wait_for_everyone()
    plain.load_state_dict(
        torch.load(state / BEST_FILE, weights_only=True, map_location="cpu"), strict=False
    )
    return progressed


@torch.no_grad()
def bits_per_character(
    model: Any, examples: Sequence[TokenizedExample], batch_size: int = 32
) -> float:
    """How many bits the model needs for a character of the texts, end marks included.

    Unlike perplexity it compares models with different tokenizers.
    """
    model.eval()
    device = next(model.parameters()).device
    nats, characters = 0.0, 0
    for group in in_batches(examples, batch_size):
        batch = collate(group, device)
        logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
        nats += float(
            torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten(), reduction="sum"
            )
        )
        characters += sum(example.characters for example in group)
    return nats / math.log(2) / max(1, characters)


def _batches(
    plan: Plan, examples: Sequence[TokenizedExample], step: int, accelerator: Accelerator
) -> Iterator[list[TokenizedExample]]:
    """This process's part of each batch, from step `step` on, epoch after epoch."""
    lengths = [len(example.ids) for example in examples]
    per_epoch = math.ceil(len(examples) / plan.batch_size)
    epoch, skip = divmod(step, per_epoch)
    while True:
        for indices in order(lengths, plan.batch_size, plan.seed, epoch)[skip:]:
            mine = indices[accelerator.process_index :: accelerator.num_processes]
            # A last, small batch may leave a process without a text; it then repeats one.
            yield [examples[i] for i in mine or indices[:1]]
        epoch, skip = epoch + 1, 0


def _learning_rate(plan: Plan, step: int) -> float:
    """Linear rise, then a cosine down to a tenth."""
    warmup = max(1, round(plan.steps * plan.warmup))
    if step < warmup:
        return plan.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, plan.steps - warmup)
    return plan.learning_rate * (0.55 + 0.45 * math.cos(math.pi * done))


def _bf16_pays() -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and any(
        flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16")
    )


def _trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """What training changes: all weights, or with LoRA the adapters."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name in trained}


def _save(path: Path, content: Any) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(path.name + ".part")
    try:
        torch.save(content, beside)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        reason = str(error).splitlines()[0]
        raise HoroscopeError(f"Cannot write {path} ({reason}): is the disk full?") from None
    os.replace(beside, path)


def _save_checkpoint(
    state: Path,
    plan: Plan,
    model: Any,
    optimizer: Any,
    progressed: Progressed,
    losses: list[torch.Tensor],
) -> None:
    _save(
        state / CHECKPOINT_FILE,
        {
            "plan": json.dumps(asdict(plan)),
            "progressed": json.dumps(asdict(progressed)),
            "losses": losses,
            "weights": _trained_weights(model),
            "optimizer": optimizer.state_dict(),
        },
    )


def _load(state: Path, plan: Plan, model: Any, optimizer: Any) -> tuple[Progressed, list[Any]]:
    path = state / CHECKPOINT_FILE
    if not path.is_file():
        return Progressed(), []
    saved = torch.load(path, weights_only=True, map_location="cpu")
    before = json.loads(saved["plan"])
    for name, value in asdict(plan).items():
        if before.get(name) != value:
            raise InputError(
                f"{path} is of a run with another {name.replace('_', ' ')} "
                f"({before.get(name)}, now {value}): use the same options, or a new --output."
            )
    model.load_state_dict(saved["weights"], strict=False)
    optimizer.load_state_dict(saved["optimizer"])
    return Progressed(**json.loads(saved["progressed"])), saved["losses"]


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
def _bar(plan: Plan, progressed: Progressed, shown: bool) -> Iterator[Any]:
    """A progress bar with the time left; a function that moves it."""
    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}, best {task.fields[bits]:.4f} bits/char"),
    )
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(
            "", total=plan.steps, completed=progressed.step, loss=0.0, bits=progressed.best_bits
        )

        def move(loss: float) -> None:
            progress.update(task, completed=progressed.step, loss=loss, bits=progressed.best_bits)

        yield move
