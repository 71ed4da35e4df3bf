"""Each rule on the directories of versions, and on the policy that chooses among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trimaran.checks.judging import CONFIG, PYTHON, SOURCE, Found, found, judged
from trimaran.checks.versions import served_versions, version_of
from trimaran.repository.config import parse_config

CASES: dict[str, tuple[dict[str, str | bytes], list[Found]]] = {
    "two versions, of which the newest is served": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2/model.py": SOURCE},
        [],
    ),
    "an older version without its file": (
        {CONFIG: PYTHON, "m/1/x": "", "m/2/model.py": SOURCE},
        [
            (
                "warning",
                "m/1",
                "",
                "1/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "a served version without its file": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2/x": ""},
        [
            (
                "error",
                "m/2",
                "",
                "2/model.py is missing, which backend python loads; add it, or correct "
                "default_model_filename",
            )
        ],
    ),
    "another file name": (
        {CONFIG: PYTHON + 'default_model_filename: "other.py"', "m/1/other.py": SOURCE},
        [],
    ),
    "a directory that is taken for a version": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/2.tmp/model.py": SOURCE},
        [
            (
                "error",
                "m/2.tmp",
                "2.tmp",
                "directory 2.tmp is read by Triton as version 2, which does not exist; rename "
                "it so that it "
                "starts with a letter, or remove it",
            )
        ],
    ),
    "the same, below the version that is served": (
        {CONFIG: PYTHON, "m/3/model.py": SOURCE, "m/2.tmp/model.py": SOURCE},
        [
            (
                "warning",
                "m/2.tmp",
                "2.tmp",
                "directory 2.tmp is read by Triton as version 2, which does not exist; rename "
                "it so that it "
                "starts with a letter, or remove it",
            )
        ],
    ),
    "a number below zero that is served": (
        {
            CONFIG: PYTHON + "version_policy { all { } }",
            "m/1/model.py": SOURCE,
            "m/-3/model.py": SOURCE,
        },
        [
            (
                "error",
                "m/-3",
                "-3",
                "directory -3 is read by Triton as version -3; rename it so that it starts with "
                "a letter, "
                "or remove it",
            )
        ],
    ),
    "a leading zero": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/02/model.py": SOURCE},
        [
            (
                "warning",
                "m/02",
                "02",
                "directory 02 is not a version, since it begins with a zero; rename it to 2",
            )
        ],
    ),
    "a number that cannot be one": (
        {CONFIG: PYTHON, "m/1/model.py": SOURCE, "m/99999999999999999999/model.py": SOURCE},
        [
            (
                "error",
                "m/99999999999999999999",
                "99999999999999999999",
                "directory 99999999999999999999 is too large a version number; rename it",
            ),
        ],
    ),
    "a policy for versions that are not there": (
        {
            CONFIG: PYTHON + "version_policy { specific { versions: [ 3 ] } }",
            "m/1/model.py": SOURCE,
        },
        [
            (
                "error",
                CONFIG,
                "version_policy.specific",
                "version_policy names version 3, but there is 1; name versions that are there",
            )
        ],
    ),
    "a policy for some that are there": (
        {
            CONFIG: PYTHON + "version_policy { specific { versions: [ 1, 3 ] } }",
            "m/1/model.py": SOURCE,
        },
        [
            (
                "warning",
                CONFIG,
                "version_policy.specific",
                "version_policy names version 3, but there is 1; name versions that are there",
            )
        ],
    ),
    "a policy for none": (
        {CONFIG: PYTHON + "version_policy { latest { } }", "m/1/model.py": SOURCE},
        [
            (
                "error",
                CONFIG,
                "version_policy",
                "version_policy leaves no version to serve: there is 1; name versions that are "
                "there, or remove the policy",
            )
        ],
    ),
    "no version yet": ({CONFIG: PYTHON}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found_of_versions(case: str, tmp_path: Path) -> None:
    files, expected = CASES[case]
    assert found(judged(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1", 1),
        ("12", 12),
        ("2.tmp", 2),
        ("3x", 3),
        ("-3", -3),
        ("0", 0),
        ("01", None),
        ("v1", None),
    ],
)
def test_which_version_triton_takes_a_directory_for(name: str, number: int | None) -> None:
    assert version_of(name) == number


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", (7,)),
        ("version_policy { }", (7,)),
        ("version_policy { all { } }", (1, 3, 7)),
        ("version_policy { latest { num_versions: 2 } }", (3, 7)),
        ("version_policy { latest { } }", ()),
        ("version_policy { specific { versions: [ 1, 2 ] } }", (1,)),
    ],
)
def test_which_versions_a_policy_serves(policy: str, served: tuple[int, ...]) -> None:
    assert served_versions(parse_config(policy, "here"), (1, 3, 7)) == served
