"""What `rollout.toml` and a file of answers may say, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rollout.project import answers
from tests.trimaran.calling import call_trimaran
from trimaran.rollout.runs.checklist import ITEMS, Question, parse_answers, template
from trimaran.rollout.runs.settings import find_settings, parse_settings
from trimaran.system.errors import TrimaranError

PLACE = Path("rollout.toml")
QUESTIONS = {name: Question(asked) for name, asked in ITEMS.items()}


def test_the_settings_of_an_example() -> None:
    found = parse_settings(
        '[churn]\ntable = "churn"\nformats = ["onnx", "aoti"]\napprovals = 2\n'
        '[churn.train]\nmodel = "linear"\ncost-missed = 100\n'
        '[shop]\n[roles]\nreview = ["anna"]\n',
        PLACE,
    )
    plan = found.plan("churn")
    assert (plan.table, plan.formats, plan.approvals) == ("churn", ("onnx", "aoti"), 2)
    assert plan.train == {"model": "linear", "cost-missed": 100}
    assert found.plan("shop").table == "shop"
    found.require_role("deploy", "anyone")
    found.require_role("review", "anna")
    for role in ("review", "approve"):
        with pytest.raises(TrimaranError, match=rf"bo may not {role} a run: \[roles\] in rollout"):
            found.require_role(role, "bo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("churn = 3", "churn is 3; expected a table"),
        ("[churn]\ntabel = 'x'", r"\[churn\]: there is no key 'tabel'; did you mean 'table'"),
        ("[churn]\napprovals = 0", "approvals is 0; expected a number of people from 1 to 20"),
        ("[churn]\napprovals = true", "approvals is True"),
        ("[churn]\nformats = ['aoti']", "formats lacks 'onnx'"),
        ("[churn]\ntrain = 'linear'", "train is 'linear'; expected a table"),
        ("[roles]\nreviw = ['anna']", r"\[roles\]: there is no key 'reviw'; did you mean 'review'"),
        ("[roles]\nreview = 'anna'", "review is 'anna'; expected a list of texts"),
        ("['a/b']\n", "'a/b' cannot name a model"),
        ("[churn", "not TOML"),
    ],
)
def test_a_mistake_in_the_settings_is_named(text: str, says: str) -> None:
    with pytest.raises(TrimaranError, match=says):
        parse_settings(text, PLACE)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("modle = 'linear'", "there is no key 'modle'; did you mean 'model'?"),
        ("folds = 3", "there is no key 'folds'"),
        ("seed = 'x'", "Invalid value for '--seed'"),
        ("model = 'tfidf'", "--model tfidf is not for records of a table"),
        ("target = ['a']", "target is ['a']; expected a text, a number or true"),
    ],
)
def test_a_mistake_among_the_options_of_train_is_named_and_nothing_begins(
    tmp_path: Path, train: str, says: str
) -> None:
    (tmp_path / "rollout.toml").write_text(f"[churn]\n[churn.train]\n{train}\n")
    assert says in call_trimaran("run", "churn", cwd=tmp_path).error
    assert not (tmp_path / ".trimaran").exists()


def test_a_name_that_nothing_describes_is_refused(tmp_path: Path) -> None:
    assert (
        "write a rollout.toml with a table [shop]"
        in call_trimaran("run", "shop", cwd=tmp_path).error
    )
    (tmp_path / "rollout.toml").write_text("[shop]\n")
    assert (
        "has no table [shpo]; did you mean 'shop'?"
        in call_trimaran("run", "shpo", cwd=tmp_path).error
    )
    assert find_settings(tmp_path, tmp_path / "rollout.toml").plan("shop").name == "shop"


def test_a_project_says_what_its_own_model_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    (tmp_path / "trimaran.toml").write_text('table = "shop.csv"\nmodels = ["shop"]\n')
    assert find_settings(Path.cwd()).plan("shop").table == "../shop.csv"
    (tmp_path / "rollout.toml").write_text('[shop]\ntable = "other.csv"\napprovals = 3\n')
    assert find_settings(Path.cwd()).plan("shop").approvals == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (template("churn/1", QUESTIONS), "performance has no answer; write yes, no, n/a"),
        (answers(goal="perhaps"), "goal has the answer 'perhaps'; write yes, no, n/a"),
        (answers().replace("looked at bias", " "), "bias has no note"),
        (answers().replace("[bias]", "[bais]"), "there is no key 'bais'; did you mean 'bias'"),
        (answers().partition("[compliance]")[0], "compliance is not answered"),
        (answers() + "more = 1\n", r"\[compliance\]: there is no key 'more'"),
    ],
)
def test_a_gap_in_the_answers_is_named(text: str, says: str) -> None:
    assert list(parse_answers(answers())) == list(ITEMS)
    with pytest.raises(TrimaranError, match=says):
        parse_answers(text)
