"""Outcomes of clients: `trimaran experiment outcomes`, by the digests of their keys."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.rollout.played import clock
from tests.trimaran.calling import Outcome, call_trimaran
from trimaran.repository.repository import Repository
from trimaran.rollout.experiments.experiment import Experiment
from trimaran.rollout.experiments.plan import Goal, Plan
from trimaran.rollout.experiments.verdict import Verdict
from trimaran.rollout.traffic.split import arm_of, unit_of
from trimaran.rollout.traffic.units import KEY, SEEN, Units

PLAN = Plan(
    steps=(0.25, 0.5),
    goals=(
        Goal("sales", margin=4, binary=False, high=200),
        Goal("stayed"),
        Goal("accuracy"),
    ),
)
DIGEST_KEY = "d1ce" * 16
CLIENTS = [f"c{number}" for number in range(200)]


class Shop:
    """An experiment that has seen its clients at both of its shares, but for the last one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        repository = Repository.create(root / "model_repository")
        self.experiment = Experiment.begin(
            repository, "churn", "ab", "7", "8", PLAN, by="anna", header="customer-id", now=clock()
        )
        (self.experiment.directory / KEY).write_text(DIGEST_KEY)
        units = Units(self.experiment.directory / SEEN)
        for segment in (1, 2):
            for client in CLIENTS[:-1]:
                units.is_new(segment, unit_of(client, DIGEST_KEY))
        units.keep()

    def tell(self, text: str, *options: str, goal: str = "sales", name: str = "churn") -> Outcome:
        path = self.root / "outcomes.csv"
        path.write_text(text)
        columns = ("--goal", goal, "--key", "client", "--value", "amount")
        root = ("--repository", str(self.root / "model_repository"))
        return call_trimaran("experiment", "outcomes", name, str(path), *columns, *options, *root)

    def counted(self, goal: str) -> dict[tuple[int, str], tuple[int, float]]:
        self.experiment.refresh()
        return {
            (number, arm): (values.count, values.total)
            for number, each in enumerate(self.experiment.state.segments, start=1)
            for arm, seen in (("live", each.live.seen), ("candidate", each.candidate.seen))
            if (values := seen.outcomes.get(goal))
        }


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_person_is_forgotten_while_the_experiment_goes_on(shop: Shop) -> None:
    erase = ("privacy", "erase", "--repository", str(shop.root / "model_repository"), "--json")
    arms = shop.root / ".trimaran" / "model_repository" / "gateway" / "arms.log"
    arms.parent.mkdir()
    seen = [{"experiment": "churn/1", "unit": unit_of(each, DIGEST_KEY)[:16]} for each in CLIENTS]
    arms.write_text("".join(json.dumps(line) + "\n" for line in seen))
    size = (shop.experiment.directory / SEEN).stat().st_size
    outcome = call_trimaran(*erase, "--id", "c3", "--id", "c3000")
    assert outcome.status == 0, outcome.stderr
    removed = {each["place"]: each["by_id"] for each in json.loads(outcome.stdout)["removed"]}
    assert removed == {"experiments/churn/1": {"c3": 2}, "gateway/arms.log, churn/1": {"c3": 1}}
    assert unit_of("c3", DIGEST_KEY)[:16] not in arms.read_text()
    assert (shop.experiment.directory / SEEN).stat().st_size == size
    told = shop.tell(table(("c3", 50), ("c4", 50)), "--json")
    assert (json.loads(told.stdout)["counted"], json.loads(told.stdout)["unseen"]) == (1, 1)
    counted = call_trimaran(*erase, "--id", "c4")
    (stays,) = json.loads(counted.stdout)["stays"]
    assert stays["by_id"] == {"c4": 1}
    assert stays["remedy"].startswith("end the experiment")


def table(*rows: tuple[str, object]) -> str:
    return "client,amount\n" + "".join(f"{client},{amount}\n" for client, amount in rows)


def arms_at(share: float) -> Counter[str]:
    return Counter(arm_of(unit_of(each, DIGEST_KEY), share) for each in CLIENTS[:-1])


def test_each_client_counts_once_in_its_arm(shop: Shop) -> None:
    first = shop.tell(table(*((each, 50) for each in CLIENTS[:120])), "--json")
    assert first.status == 0, first.stderr
    found = json.loads(first.stdout)
    assert found["counted"] == 120
    assert found["verdict"] == "hold"
    whole = shop.tell(table(*((each, 50) for each in CLIENTS)))
    assert whole.status == 1
    assert "79 counted for the client's arm\n120 of clients that have an outcome" in whole.stdout
    assert "1 of clients that were not seen in the experiment" in whole.stdout
    arms = arms_at(0.25)
    assert 30 < arms["candidate"] < 70
    assert shop.counted("sales") == {
        (1, arm): (count, pytest.approx(count / 4)) for arm, count in arms.items()
    }


def test_after_the_share_was_changed_an_outcomes_time_decides(shop: Shop) -> None:
    began = shop.experiment.state.began
    shop.experiment.weigh(0.5, by="gateway")
    later = shop.experiment.state.last
    without = shop.tell(table(("c1", 1)), goal="stayed")
    assert "name the column of the outcomes' times with --time" in without.stderr
    rows = [f"c1,yes,{began}", f"c1,no,{later}", f"c2,1,{later}", "c3,1,2026-01-01"]
    found = shop.tell("client,amount,at\n" + "\n".join(rows), "--time", "at", goal="stayed")
    assert "3 counted for the client's arm\n1 from before the experiment" in found.stdout
    arms = {
        (segment, each): arm_of(unit_of(each, DIGEST_KEY), share)
        for segment, each, share in ((1, "c1", 0.25), (2, "c1", 0.5), (2, "c2", 0.5))
    }
    counted = shop.counted("stayed")
    assert sum(count for count, _ in counted.values()) == 3
    assert counted[1, arms[1, "c1"]] == (1, 1)
    assert counted[2, arms[2, "c2"]][1] == 1


@pytest.mark.parametrize(
    ("text", "goal", "words"),
    [
        (table(("c1", 5), ("c2", 201)), "sales", "line 3: amount is 201, outside of 0 to 200"),
        (table(("c1", 5), ("c2", "many")), "sales", "line 3: amount is 'many', and not a number"),
        (table(("c1", 5), ("c2", "")), "sales", "line 3: amount is '', and not a number"),
        (table(("c1", 5), ("", 5)), "sales", "line 3: client is empty; leave the row out"),
        (table(("c1", 5), ("c1", 6)), "sales", "line 3: 'c1' has a row already, line 2; give one"),
        (table(("c1", 1), ("c2", 2)), "stayed", "line 3: amount is 2, and 'stayed' is 0 or 1"),
        (table(("c1", 5)) + "c2\n", "sales", "line 3: it has 1 cells, and the header has 2"),
        ("customer,amount\nc1,5\n", "sales", "has no column 'client'; its columns are customer"),
        ("", "sales", "is empty; it must begin with a line of column names"),
        (table(("c1", 5)), "sale", "the plan has no goal 'sale'; it has sales, stayed, accuracy"),
        (table(("c1", 1)), "accuracy", "is of predictions, whose outcomes 'trimaran feedback'"),
    ],
)
def test_what_cannot_be_counted_is_said_and_nothing_is_counted(
    shop: Shop, text: str, goal: str, words: str
) -> None:
    found = shop.tell(text, goal=goal)
    assert found.status
    assert words in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert shop.counted(goal) == {}


def test_an_experiment_that_ended_or_has_no_clients_takes_no_outcome(shop: Shop) -> None:
    shop.experiment.decide(Verdict("inconclusive", "tried"), by="anna")
    ended = shop.tell(table(("c1", 5)))
    assert "ended at 2026-11-28T" in ended.stderr
    assert "further outcomes do not count" in ended.stderr
    repository = Repository(shop.root / "model_repository")
    Experiment.begin(repository, "churn", "ab", "7", "8", PLAN, by="anna")
    without = shop.tell(table(("c1", 5)))
    assert "churn/2 divides requests and knows no clients" in without.stderr
