"""The notebook, run from its first cell to its last as Colab's «Run all» does."""

import csv
import datetime
import os
import random
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from training_models import rugpt3_like

from horoscope.generation import HoroscopeGenerator, Wish
from horoscope.zodiac import Sign

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "train_colab.ipynb"


def run_all(settings: dict[str, object], home: Path) -> str:
    """Run the notebook with other parameters; all that it printed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (at,) = (i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", []))
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    notebook.cells.insert(at + 1, new_code_cell("\n".join(lines)))
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(home)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    return "".join(output.get("text", "") for output in outputs)


def write_csv(path: Path) -> None:
    """Texts in simple language that are no copies of each other."""
    dice = random.Random(1)
    parts = [
        "Утром Днём Вечером Сегодня Скоро Снова".split(),
        "друг сосед брат начальник случай звонок разговор опыт отдых".split(),
        "подарит принесёт обещает откроет вернёт".split(),
        "вам близким семье дому работе".split(),
        "радость удачу покой новость надежду прибыль уверенность тепло успех".split(),
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["date", "sign", "text"])
        for number in range(360):
            sentences = [
                " ".join(map(dice.choice, parts)) + "." for _ in range(dice.choice([5, 6]))
            ]
            day = datetime.date(2020, 1, 1) + datetime.timedelta(number // 12)
            rows.writerow([day, [*Sign][number % 12].value, " ".join(sentences)])


def test_run_all_trains_measures_and_packs_a_model_that_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_csv(tmp_path / "mine.csv")
    rugpt3_like(tmp_path / "start")
    settings: dict[str, object] = {
        "HOME": "home",
        "TEXTS": "mine.csv",
        "START": "--model ./start",
        "OPTIONS": "--steps 250 --batch-size 16 --learning-rate 0.005 --evaluate-every 125",
        "NAME": "small",
        "COMPARED": 20,
    }
    printed = run_all(settings, tmp_path)
    assert "Saved home/small" in printed
    assert "Distinct-2" in printed
    with zipfile.ZipFile(tmp_path / "home" / "small.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    written = HoroscopeGenerator(tmp_path / "unpacked").write([Wish(Sign.LEO, seed=1)])
    assert written[0].text
    assert written[0].text in printed


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
