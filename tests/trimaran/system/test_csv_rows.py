"""Where a row with a bad quote ends, so that no other row is lost and none is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimaran.system.csv_rows import CsvError, numbered_rows

CASES: dict[str, tuple[str, list[int], list[int]]] = {
    "in one line": ('1,2\n3,"x"y\n4,5\n', [2, 4], [3]),
    "open to the end": ('1,2\n3,"x\n4,5\n\n6,7\n', [2, 4, 6], [3]),
    "open to the next quote": ('"1,2\n\n3,"4\n5"\n6,7\n', [4, 6], [2]),
    "open for longer than a cell may be": ('"1,2\n' + "3,4\n" * 50_000, [*range(3, 50_003)], [2]),
    "a cell too long": (f'1,2\n3,"{"x" * 200_000}"\n4,5\n', [2, 4], [3]),
    "a line of the text is like a row": ('1,"x "y\n3,4\nz"\n5,"6"\n', [5], [2, 3, 4]),
    "a later line of the text": ('1,"x\nx "y\n3,4"\n5,6\n', [5], [2, 3, 4]),
    "twice": ('1,"x"y\n2,3\n4,"x"y\n5,6\n', [3, 5], [2, 4]),
}


@pytest.mark.parametrize("case", CASES)
def test_only_rows_that_may_be_wrong_are_left_out(case: str) -> None:
    text, sound, faults = CASES[case]
    lines = f"a,b\n{text}".splitlines(keepends=True)
    rows = list(numbered_rows(lines, Path("x.csv")))
    assert [row.line for row in rows if not row.fault] == [1, *sound]
    assert {row.line: row.cells for row in rows if row.fault} == {
        line: [lines[line - 1].rstrip("\n")] for line in faults
    }


def test_a_bad_header_is_the_whole_file(tmp_path: Path) -> None:
    with pytest.raises(CsvError, match="the row from line 2: "):
        list(numbered_rows(["\n", '"a"b,c\n', "1,2\n"], Path("x.csv")))
