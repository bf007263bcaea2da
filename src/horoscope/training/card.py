"""What a model says of itself to people: README.md with a loss plot beside it."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # files only; there may be no screen

from matplotlib import pyplot

CARD_FILE = "README.md"
PLOT_FILE = "loss.png"


def write_card(directory: Path, name: str, training: dict[str, Any]) -> None:
    """Write the card and the plot from the training record that model.json keeps too."""
    _plot(directory / PLOT_FILE, training["history"])
    texts = "\n".join(
        f"| `{file['name']}` | {file['texts']} | `{file['sha256']}` |" for file in training["data"]
    )
    shape = ", ".join(f"{key} {value}" for key, value in training["shape"].items())
    options = "\n".join(f"| {key} | {value} |" for key, value in training["options"].items())
    versions = ", ".join(f"{key} {value}" for key, value in training["versions"].items())
    commands = "\n".join(f"    {line}" for line in [*training["earlier"], training["command"]])
    (directory / CARD_FILE).write_text(
        f"""---
language: ru
library_name: transformers
pipeline_tag: text-generation
---

# {name}

Writes horoscopes in Russian. Start: {training["start"]}. Shape: {shape}.

{commands}

Best validation: **{training["best_bits_per_character"]:.4f} bits per character**
at step {training["best_step"]} of {training["steps"]};
the weights are those of the {training["options"]["keep"]} step.

![Loss]({PLOT_FILE})

## Learned from

| file | texts | sha256 |
| --- | --- | --- |
{texts}

## Options

| option | value |
| --- | --- |
{options}

Made with {versions}, on {training["device"]}.
""",
        encoding="utf-8",
    )


def _plot(path: Path, history: list[dict[str, float]]) -> None:
    steps = [row["step"] for row in history]
    figure, left = pyplot.subplots(figsize=(7, 4), layout="constrained")
    left.plot(steps, [row["loss"] for row in history], color="tab:blue")
    left.set_xlabel("step")
    left.set_ylabel("training loss, nats a token", color="tab:blue")
    right = left.twinx()
    right.plot(steps, [row["bits_per_character"] for row in history], color="tab:orange")
    right.set_ylabel("validation, bits a character", color="tab:orange")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
