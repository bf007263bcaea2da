import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from horoscope.dataset.tables import read_table

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)
ROWS = st.lists(st.tuples(CELLS.filter(bool), CELLS, CELLS), min_size=1, max_size=8)


@given(ROWS, st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_what_a_spreadsheet_writes_is_read_back(
    rows: list[tuple[str, ...]], delimiter: str, encoding: str
) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "texts.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            table = csv.writer(file, delimiter=delimiter)
            table.writerows([("sign", "text", "день"), *rows])
        read = read_table(path, encoding.removesuffix("-sig"))
        lines = path.read_text(encoding).split("\n")
    assert read.columns == ["sign", "text", "день"]
    assert [tuple(cell or "" for cell in cells.values()) for _, cells in read.rows] == rows
    for (line, _), row in zip(read.rows, rows, strict=True):
        # A row begins in the line that is named.
        assert lines[line - 1].lstrip('"').startswith(row[0].split("\n")[0].lstrip('"')[:1])


@given(ROWS)
def test_json_lines_are_read_back_with_their_numbers(rows: list[tuple[str, ...]]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "texts.jsonl"
        lines = [json.dumps({"sign": row[0], "text": row[1], "n": 1}) for row in rows]
        path.write_text("\n\n".join(lines), encoding="utf-8")
        read = read_table(path)
    assert read.columns == ["sign", "text", "n"]
    assert read.rows == [
        (2 * n + 1, {"sign": row[0], "text": row[1] or None, "n": "1"})
        for n, row in enumerate(rows)
    ]
