"""Shows what preparing took, so that a person can look and disagree."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from horoscope.dataset.examples import SPLITS, Example
from horoscope.dataset.prepare import Dropped, Prepared
from horoscope.zodiac import Sign, Topic

SAMPLES = 5  # of each reason
_SHOWN = 400  # characters of a sample


def write_report(prepared: Prepared, directory: Path) -> None:
    """Write report.md with its plots, and every dropped text to dropped.jsonl."""
    everything = [example for name in SPLITS for example in prepared.examples[name]]
    with (directory / "dropped.jsonl").open("w", encoding="utf-8") as file:
        for drop in prepared.dropped:
            file.write(json.dumps(drop.__dict__, ensure_ascii=False) + "\n")
    _plot_lengths(everything, directory / "lengths.png")
    _plot_signs(everything, directory / "signs.png")
    lines = [
        "# What was prepared",
        "",
        *_table_of_steps(prepared),
        *_table_of_splits(prepared),
        *_table_of_mends(prepared),
        "![Lengths](lengths.png)",
        "",
        "![Signs and topics](signs.png)",
        "",
        *_samples(prepared.dropped),
    ]
    (directory / "report.md").write_text("\n".join(lines), encoding="utf-8")


def _table(title: str, head: list[str], rows: list[list[object]]) -> list[str]:
    return [
        f"## {title}",
        "",
        "| " + " | ".join(head) + " |",
        "| --- |" + " ---: |" * (len(head) - 1),
        *("| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in row) + " |"
          for row in rows),
        "",
    ]  # fmt: skip


def steps(prepared: Prepared) -> list[tuple[str, dict[str, int]]]:
    """What each step took, by source: the rows read, each reason to drop, the texts that stand."""
    reasons = Counter((drop.reason, drop.source) for drop in prepared.dropped)
    order = dict.fromkeys(drop.reason for drop in prepared.dropped)
    kept = Counter(e.source for examples in prepared.examples.values() for e in examples)
    sources = list(prepared.read)
    return [
        ("rows read", {source: prepared.read[source] for source in sources}),
        *((f"− {reason}", {s: reasons[reason, s] for s in sources}) for reason in order),
        ("texts that stand", {source: kept[source] for source in sources}),
    ]


def show(prepared: Prepared, output: Path) -> None:
    """Print the table of what each step took."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*["step", *prepared.read], box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for step, counts in steps(prepared):
        table.add_row(step, *(f"{count:,}" for count in counts.values()))
    console = Console(highlight=False)
    console.print(table)
    sizes = ", ".join(f"{name} {len(prepared.examples[name]):,}" for name in SPLITS)
    console.print(f"{output}: {sizes}; look at {output / 'report.md'}.", soft_wrap=True)


def _table_of_steps(prepared: Prepared) -> list[str]:
    rows: list[list[object]] = [
        [step, *counts.values(), sum(counts.values())] for step, counts in steps(prepared)
    ]
    return _table("What each step took", ["step", *prepared.read, "together"], rows)


def _table_of_splits(prepared: Prepared) -> list[str]:
    rows: list[list[object]] = []
    for name in SPLITS:
        examples = prepared.examples[name]
        dates = sorted(e.date for e in examples if e.date)
        days = f"{dates[0]} … {dates[-1]}" if dates else "no dates"
        by_source = Counter(e.source for e in examples)
        rows.append([name, *(by_source[s] for s in prepared.read), len(examples), days])
    return _table("Splits", ["split", *prepared.read, "together", "days"], rows)


def _table_of_mends(prepared: Prepared) -> list[str]:
    rules = dict.fromkeys(rule for _, rule in prepared.mended)
    rows: list[list[object]] = [
        [rule, *(prepared.mended[source, rule] for source in prepared.read)] for rule in rules
    ]
    return _table("Texts that were mended", ["rule", *prepared.read], rows) if rows else []


def _samples(dropped: list[Dropped]) -> list[str]:
    by_reason: dict[str, list[Dropped]] = defaultdict(list)
    for drop in dropped:
        by_reason[drop.reason].append(drop)
    lines = ["## A sample of what was dropped", "", "All of it is in `dropped.jsonl`.", ""]
    for reason, drops in by_reason.items():
        lines += [f"### {reason} ({len(drops):,})", ""]
        # Evenly from first to last.
        for place in np.unique(np.linspace(0, len(drops) - 1, SAMPLES).astype(int)):
            drop = drops[place]
            lines.append(f"- {drop.source}, line {drop.line}: {_shown(drop.text)}")
            if drop.twin:
                lines.append(f"  - what stands: {_shown(drop.twin)}")
        lines.append("")
    return lines


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def _plot_lengths(examples: list[Example], path: Path) -> None:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    by_source: dict[str, list[int]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(len(example.text))
    bins = np.arange(0, max((len(e.text) for e in examples), default=100) + 40, 20).tolist()
    for source, lengths in by_source.items():
        axes.hist(lengths, bins=bins, histtype="step", linewidth=1.5, label=source)
    axes.set(xlabel="characters", ylabel="texts", title="Length of a text")
    if by_source:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def _plot_signs(examples: list[Example], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    counts = Counter((e.sign, e.topic) for e in examples)
    below = np.zeros(len(Sign))
    for topic in Topic:
        heights = np.array([counts[sign, topic] for sign in Sign])
        axes.bar([s.russian for s in Sign], heights, bottom=below, label=topic.value)
        below += heights
    axes.tick_params(axis="x", rotation=45)
    axes.set(ylabel="texts", title="Texts a sign, by topic")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
