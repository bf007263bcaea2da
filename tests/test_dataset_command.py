import csv
import json
import re
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from horoscope.cli import main
from horoscope.corpus import corpus_path
from horoscope.dataset import load_examples
from horoscope.dataset.examples import SPLITS
from horoscope.dataset.sources import SOURCES
from horoscope.zodiac import Sign

PLAIN = [json.loads(line) for line in corpus_path("plain").read_text("utf-8").splitlines()]
REAL = Path(__file__).parents[2] / "shared" / "data"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["horoscope", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def dated_rows(count: int = 360) -> list[dict[str, str]]:
    """Texts of ours as a newspaper's table: twelve a day."""
    return [
        {
            "date": (date(2026, 1, 1) + timedelta(days=n // 12)).isoformat(),
            "sign": row["sign"],
            "topic": row["topic"],
            "text": row["text"],
        }
        for n, row in enumerate(PLAIN[:count])
    ]


def write_csv(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), **options)
        table.writeheader()
        table.writerows(rows)
    return path


def everything(directory: Path) -> list[str]:
    return [example.text for split in SPLITS for example in load_examples(directory, split)]


def test_our_own_corpus_passes_whole(run: Run, tmp_path: Path) -> None:
    code, out, err = run("data", "prepare", "plain", "--output", tmp_path / "plain")
    assert (code, err) == (0, "")
    assert sorted(everything(tmp_path / "plain")) == sorted(row["text"] for row in PLAIN)
    assert "report.md" in out


def test_preparing_again_gives_the_same_files(run: Run, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "paper.csv", dated_rows())
    for name in ("one", "two"):
        assert run("data", "prepare", path, "--output", tmp_path / name)[0] == 0
    for split in SPLITS:
        assert (tmp_path / "one" / f"{split}.jsonl").read_bytes() == (
            tmp_path / "two" / f"{split}.jsonl"
        ).read_bytes()


def test_a_dated_table_is_split_by_date_and_keeps_everything_it_knows(
    run: Run, tmp_path: Path
) -> None:
    rows = dated_rows()
    path = write_csv(tmp_path / "paper.csv", rows)
    code, _, err = run("data", "prepare", path, "--output", tmp_path / "out", "--held-out", "0.1")
    assert (code, err) == (0, "")
    train, validation, test = (load_examples(tmp_path / "out", split) for split in SPLITS)
    assert (len(train), len(validation), len(test)) == (288, 36, 36)
    assert max(e.date for e in train) < min(e.date for e in validation)
    assert max(e.date for e in validation) < min(e.date for e in test)
    assert {(e.sign, e.topic, e.text, str(e.date), e.source) for e in [*train, *validation, *test]}
    assert {
        (e.date.isoformat(), e.sign, e.topic, e.text) for e in [*train, *validation, *test]
    } == {(r["date"], r["sign"], r["topic"], r["text"]) for r in rows}
    assert {e.source for e in train} == {"paper"}


def test_the_next_days_text_told_a_day_ahead_is_a_near_duplicate_and_today_stands(
    run: Run, tmp_path: Path
) -> None:
    today = [row for row in dated_rows(720) if "Сегодня" in row["text"] or "сегодня" in row["text"]]
    ahead = []
    for row in today:
        day = date.fromisoformat(row["date"]) - timedelta(days=1)
        text = row["text"].replace("Сегодня", "Завтра").replace("сегодня", "завтра")
        ahead.append({**row, "date": day.isoformat(), "topic": "tomorrow", "text": text})
    orphan = {**ahead[0], "text": PLAIN[-1]["text"], "sign": PLAIN[-1]["sign"]}
    path = write_csv(tmp_path / "two_days.csv", [*ahead, *today, orphan])
    assert run("data", "prepare", path, "--output", tmp_path / "out")[0] == 0
    assert sorted(everything(tmp_path / "out")) == sorted(row["text"] for row in today)
    dropped = [
        json.loads(line)
        for line in (tmp_path / "out/dropped.jsonl").read_text("utf-8").splitlines()
    ]
    reasons = [row["reason"] for row in dropped]
    assert reasons.count("near-duplicate") == len(ahead)
    assert reasons.count("says «завтра»") == 1
    near = next(row for row in dropped if row["reason"] == "near-duplicate")
    assert near["twin"] == near["text"].replace("Завтра", "Сегодня").replace("завтра", "сегодня")


def test_the_report_counts_every_row_once_and_shows_what_was_dropped(
    run: Run, tmp_path: Path
) -> None:
    rows = dated_rows(120)
    text = rows[0]["text"]
    rows += [
        {**rows[0], "text": f"  {text}"},
        {**rows[0], "text": text.upper()},
        {**rows[0], "text": text.rsplit(". ", 1)[0] + ". Вечером почитайте."},
        {**rows[0], "text": "Good morning, dear Leo! Have a very nice day at your work, please."},
        {**rows[0], "text": " "},
        {**rows[0], "sign": "змееносец"},
        {**rows[0], "topic": "weather"},
        {**rows[0], "date": "вчера"},
        {**rows[1], "text": " ".join(row["text"] for row in PLAIN[200:210])},
    ]
    path = write_csv(tmp_path / "paper.csv", rows)
    assert run("data", "prepare", path, "--output", tmp_path / "out")[0] == 0
    report = (tmp_path / "out" / "report.md").read_text("utf-8")
    table = dict(re.findall(r"^\| (?:− )?([^|]+?) \| ([\d,]+) \| [\d,]+ \|$", report, re.MULTILINE))
    assert table == {
        "rows read": "129",
        "empty": "1",
        "unknown sign": "1",
        "unknown topic": "1",
        "unreadable date": "1",
        "not Russian": "1",
        "longer than 1500 characters": "1",
        "capital letters": "1",
        "exact duplicate": "1",
        "near-duplicate": "1",
        "texts that stand": "120",
    }
    assert "Good morning, dear Leo!" in report
    for plot in ("lengths.png", "signs.png"):
        assert (tmp_path / "out" / plot).read_bytes().startswith(b"\x89PNG")


def test_a_column_for_each_sign_is_understood_and_everyones_text_is_given_away(
    run: Run, tmp_path: Path
) -> None:
    by_sign = {sign: [r["text"] for r in PLAIN if r["sign"] == sign][:12] for sign in Sign}
    used = {text for texts in by_sign.values() for text in texts}
    general = [r["text"] for r in PLAIN if r["text"] not in used and not names_a_sign(r["text"])][
        -12:
    ]
    rows = [
        {sign.russian.lower(): by_sign[sign][day] for sign in Sign}
        | {"main_horo": general[day], "date": f"{day + 1:02}.03.2026"}
        for day in range(len(general))
    ]
    path = write_csv(tmp_path / "wide.csv", rows, delimiter=";")
    assert run("data", "prepare", path, "--output", tmp_path / "out")[0] == 0
    examples = [e for split in SPLITS for e in load_examples(tmp_path / "out", split)]
    assert len(examples) == 13 * len(rows)
    assert {e.date for e in examples} == {date(2026, 3, d + 1) for d in range(len(rows))}
    given = [e.sign for e in examples if e.text in general]
    assert len(given) == len(rows) == len(set(given))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tsv"])
def test_other_kinds_of_files_with_other_names_of_columns(
    run: Run, tmp_path: Path, kind: str
) -> None:
    rows = [
        {"Прогноз": row["text"], "Знак": Sign(row["sign"]).russian, "день": "5.03.2026 06:00"}
        for row in PLAIN[:24]
    ]
    path = tmp_path / f"my.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    elif kind == "tsv":
        write_csv(path, rows, delimiter="\t")
    else:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
    options = ["--text-column", "Прогноз", "--sign-column", "Знак", "--date-column", "день"]
    code, _, err = run(
        "data", "prepare", f"мои={path}", *options, "--topic", "love", "--output", tmp_path / "out"
    )
    assert (code, err) == (0, "")
    examples = [e for split in SPLITS for e in load_examples(tmp_path / "out", split)]
    assert {(e.text, e.sign) for e in examples} == {(r["text"], r["sign"]) for r in PLAIN[:24]}
    assert {(e.topic, e.source, e.date) for e in examples} == {("love", "мои", date(2026, 3, 5))}


def test_a_copy_of_a_known_source_is_read_as_that_beside_a_file_with_other_columns(
    run: Run, tmp_path: Path
) -> None:
    copy = write_csv(tmp_path / "copy.csv", dated_rows(24))
    mine = write_csv(
        tmp_path / "mine.csv", [{"forecast": r["text"], "znak": r["sign"]} for r in PLAIN[24:48]]
    )
    options = ["--text-column", "forecast", "--sign-column", "znak", "--output", tmp_path / "out"]
    assert run("data", "prepare", f"mailru={copy}", mine, *options)[0] == 0
    examples = [e for split in SPLITS for e in load_examples(tmp_path / "out", split)]
    assert Counter(e.source for e in examples) == {"mailru": 24, "mine": 24}


def test_one_sign_for_all_and_another_encoding(run: Run, tmp_path: Path) -> None:
    rows = [{"text": row["text"]} for row in PLAIN if row["sign"] == "leo"][:30]
    path = write_csv(tmp_path / "львы.csv", rows, encoding="cp1251")
    arguments = ("data", "prepare", path, "--sign", "лев", "--output", tmp_path / "out")
    code, _, err = run(*arguments)
    assert code == 2
    assert "add --encoding cp1251" in err
    assert run(*arguments, "--encoding", "cp1251")[0] == 0
    assert sorted(everything(tmp_path / "out")) == sorted(row["text"] for row in rows)


GOOD = PLAIN[0]["text"]


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", "", 2, "is empty"),
        ("a.csv", " \n\n", 2, "is empty"),
        ("a.csv", "sign,text\n", 2, "no rows"),
        ("a.jsonl", "", 2, "is empty"),
        ("a.csv", f'znak,forecast\nleo,"{GOOD}"\n', 2, "no column 'text'; it has: znak, forecast"),
        ("a.csv", f'text,znak\n"{GOOD}",leo\n', 2, "no column 'sign'; it has: text, znak"),
        ("a.csv", "text,text,sign\nа,б,leo\n", 2, "two columns called 'text'"),
        ("a.csv", f'sign,text\nleo,"{GOOD}"\nleo,"а","б"\n', 2, "line 3 is broken: 3 cells"),
        ("a.csv", f'sign,text\nleo,"{GOOD}\nleo,б\n', 2, "line 2 is broken"),
        ("a.csv", 'sign,text\nleo,"а\nб"\nleo\n', 2, "line 4 is broken: 1 cells"),
        ("a.csv", f'sign,text\nzzz,"{GOOD}"\n', 2, "no row can be used (line 2: unknown sign)"),
        ("a.csv", "sign,text\nleo,\n", 2, "no row can be used (line 2: empty)"),
        ("a.jsonl", '{"sign": "leo", "text": "а"}\n{"sign": "leo"\n', 2, "line 2 is broken"),
        ("a.jsonl", '["leo"]\n', 2, "line 1 is broken: it is no JSON object"),
        ("a.parquet", "PAR1 and nothing more", 2, "no whole Parquet file"),
        ("a.xlsx", "PK", 2, "is none of .csv, .tsv, .jsonl and .parquet"),
        ("a.csv", b"sign,text\nleo,\xff\xfe\x00\n", 2, "line 2 is not utf-8"),
        ("a.csv", f"sign,text\nleo,{GOOD}".encode("utf-16"), 2, "add --encoding utf-16"),
        ("a.csv", f"sign,text\nleo,{GOOD}".encode("koi8-r"), 2, "add --encoding koi8-r"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    run: Run, tmp_path: Path, name: str, content: str | bytes, code: int, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, _, err = run("data", "prepare", path, "--output", tmp_path / "out")
    assert found == code
    assert words in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing.csv"], 1, "There is no file nothing.csv"),
        (["rambler2"], 2, "No source is called 'rambler2'"),
        (["plain", "--sign", "зяблик"], 2, "Не знаю знака"),
        (["pyproject.toml"], 2, "is none of .csv"),
    ],
)
def test_a_source_that_is_not_there_is_named(
    run: Run, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    found, _, err = run("data", "prepare", *arguments, "--output", tmp_path / "out")
    assert found == code
    assert words in err
    assert err.count("\n") == 1


def test_an_option_for_a_column_that_is_missing_is_refused(run: Run, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "paper.csv", dated_rows(12))
    code, _, err = run(
        "data", "prepare", path, "--date-column", "день", "--output", tmp_path / "out"
    )
    assert code == 2
    assert "no column 'день'; it has: date, sign, topic, text" in err


def test_an_output_that_holds_something_else_is_left_alone(run: Run, tmp_path: Path) -> None:
    thing = tmp_path / "out" / "diary.txt"
    thing.parent.mkdir()
    thing.write_text("Дорогой дневник")
    code, _, err = run("data", "prepare", "plain", "--output", thing.parent)
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = run("data", "prepare", "plain", "--output", thing)
    assert (code, err.count("\n")) == (2, 1)
    assert thing.read_text() == "Дорогой дневник"
    assert list(tmp_path.iterdir()) == [thing.parent]


def test_an_output_that_cannot_be_written_is_one_line(run: Run) -> None:
    code, _, err = run("data", "prepare", "witty", "--output", "/proc/horoscope/out")
    assert (code, err.count("\n")) == (1, 1)
    assert "Cannot write /proc/horoscope/out" in err


def test_when_the_disk_is_full_what_was_there_before_stays_whole(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        run("data", "prepare", write_csv(tmp_path / "a.csv", dated_rows()), "--output", out)[0] == 0
    )
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    limit = 100_000  # bytes that a file may have; more fails as on a full disk

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "horoscope", "data", "prepare", "witty", "--output", str(out)],
        capture_output=True,
        text=True,
        preexec_fn=fill,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Cannot write {out}")
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_a_package_that_is_not_installed_is_named_with_the_way_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed
    code, _, err = run("data", "list")
    assert (code, err) == (1, "Error: This command needs rich: pip install 'horoscope[train]'\n")


def test_list_shows_every_source(run: Run) -> None:
    code, out, _ = run("data", "list")
    assert code == 0
    for name in SOURCES:
        assert re.search(rf"^{name}\s", out, re.MULTILINE)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs real horoscopes in ../shared/data")
def test_real_horoscopes_come_clean_and_nothing_of_the_test_is_learned(
    run: Run, tmp_path: Path
) -> None:
    sources = [f"{name}={REAL / name}.csv" for name in ("mailru", "goroskop1001")]
    assert run("data", "prepare", *sources, "--output", tmp_path / "out")[0] == 0
    dropped = [
        json.loads(line)
        for line in (tmp_path / "out" / "dropped.jsonl").read_text("utf-8").splitlines()
    ]
    reasons = [(row["source"], row["reason"]) for row in dropped]
    assert reasons.count(("mailru", "several texts in one")) == 11
    assert reasons.count(("mailru", "exact duplicate")) >= 8
    # 1,276 texts were told a day ahead; whatever their day, none may stand beside its twin.
    assert reasons.count(("goroskop1001", "near-duplicate")) > 1_250
    learned = defaultdict(set)
    for place, example in enumerate(load_examples(tmp_path / "out", "train")):
        for words in runs_of_words(example.text):
            learned[words].add(place)
    for example in [e for s in SPLITS[1:] for e in load_examples(tmp_path / "out", s)]:
        runs = runs_of_words(example.text)
        shared = Counter(place for words in runs for place in learned[words])
        assert max(shared.values(), default=0) <= 0.35 * len(runs), example.text
    for text in everything(tmp_path / "out"):
        assert not re.search(r"[а-я][.!?…][А-Я]|[A-Za-z@\]]|^\s|\s$|  ", text), text


def names_a_sign(text: str) -> bool:
    return any(form in text for sign in Sign for form in map(str.capitalize, sign.forms))


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(*(words[k:] for k in range(4)), strict=False))
