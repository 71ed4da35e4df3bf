"""The page at `/docs` in a real browser: a person types a record and reads the model's answer."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.door import Door
from tests.running import Served, run_trimaran, wait_for
from tests.trimaran.pages.browser import SHOWN, Browser, browsing
from trimaran.gateway.docs_page import page

TIMEOUT_S = 30.0
MOST_BYTES = 40_000


class Reader:
    """A person before the page."""

    def __init__(self, browser: Browser, door: Door) -> None:
        self.browser = browser
        self.url = f"https://{door.address}/docs"

    def opens(self, scheme: Any = "light", width: int = 1280) -> None:
        self.browser.show(self.url, width, scheme)

    def gives(self, token: str) -> str:
        """What the page says of a token."""
        self.types("token", token)
        self.browser.run("document.querySelector('#access button').click()")
        return self.until("document.getElementById('status').textContent", "not|There")

    def chooses(self, control: str, value: str) -> None:
        self.types(control, value, "change")

    def types(self, control: str, value: str, event: str = "input") -> None:
        self.browser.run(
            f"(() => {{ const control = document.getElementById({json.dumps(control)});"
            f"control.value = {json.dumps(value)};"
            f"control.dispatchEvent(new Event('{event}', {{ bubbles: true }})); }})()"
        )

    def fills(self, label: str, value: str) -> None:
        """Fill the control with a label, as a screen reader finds it."""
        control = self.browser.run(
            "[...document.querySelectorAll('#fields label')]"
            f".find((each) => each.firstChild.textContent === {json.dumps(label)}).htmlFor"
        )
        self.types(control, value)

    def asks(self) -> str:
        """The answer, once it is there."""
        self.browser.run("document.getElementById('answer').replaceChildren()")
        self.browser.run("document.getElementById('ask').click()")
        return self.until("document.getElementById('answer').innerText", "after|Nothing")

    def until(self, expression: str, pattern: str) -> str:
        return wait_for(
            lambda: (
                (found := self.browser.run(expression)) and re.search(pattern, found) and str(found)
            ),
            TIMEOUT_S,
            expression,
        )

    @property
    def curl(self) -> str:
        return str(self.browser.run("document.getElementById('curl').textContent"))


def shell(command: str, door: Door, token: str) -> str:
    """What a shell prints that runs a command with the token in `TOKEN`."""
    trusted = {"CURL_CA_BUNDLE": str(door.certificate)}
    ended = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **trusted, "TOKEN": token},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def token_of(door: Door) -> str:
    """A token as its owner gets it."""
    made = run_trimaran("gateway", "token", "*", "--metadata", "--repository", door.repository.root)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def token(door: Door) -> str:
    return token_of(door)


@pytest.fixture(scope="module")
def browser(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser") / "home", door.certificate) as found:
        yield found


def test_a_person_types_a_record_and_reads_the_answer(
    door: Door, browser: Browser, token: str
) -> None:
    reader = Reader(browser, door)
    reader.opens()
    assert "The models are not shown: 401, " in reader.gives("another token")
    assert reader.gives(token) == "There are 3 models."
    reader.chooses("example", "leaves")
    answer = reader.asks()
    assert re.match(r"200, after \d+ ms", answer)
    assert re.search(r"churn_prediction\s+true", answer)
    assert re.search(r"x-trimaran-model\s+churn\s", answer)
    assert door.audited(request_id(answer))["model"] == "churn"
    reader.fills("total_day_minutes", "180")
    reader.fills("voice_mail_plan", "yes")
    reader.fills("customer_id", "<b>it's & me</b>")
    answer = reader.asks()
    assert re.search(r"churn_prediction\s+false", answer)
    assert "<b>it's & me</b>" in answer
    assert json.loads(shell(reader.curl, door, token))["customer_id"] == "<b>it's & me</b>"
    reader.fills("total_day_minutes", "-5")
    answer = reader.asks()
    assert answer.startswith("400, after")
    assert "field 'total_day_minutes' is -5; expected between 0 and 1440" in answer
    assert re.search(r"where\s+churn", answer)
    assert door.audited(request_id(answer))["status"] == 400
    reader.chooses("model", "/models/churn_record/predict")
    assert re.search(r"churn_prediction\s+true", reader.asks())
    assert "RECORD" in reader.curl


def request_id(answer: str) -> str:
    found = re.search(r"x-request-id\s+(\S+)", answer)
    assert found, answer
    return found[1]


def test_the_page_can_be_read(door: Door, browser: Browser, token: str) -> None:
    found = {}
    reader = Reader(browser, door)
    for scheme, width in SHOWN:
        reader.opens(scheme, width)
        reader.gives(token)
        reader.asks()
        reader.fills("total_day_minutes", "-5")
        reader.asks()
        browser.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
        if problems := browser.problems():
            found[f"{scheme}, {width} px"] = problems
    assert found == {}


@pytest.fixture
def other_door(served: Served, tmp_path: Path) -> Iterator[Door]:
    """A gateway in front of models of photographs and tensors."""
    opened = Door(served.repository, tmp_path / "gateway.toml")
    try:
        opened.until_said("Press Ctrl-C to stop", 60)
        yield opened
    finally:
        opened.stop()


@pytest.mark.long
def test_a_photograph_is_chosen_shown_and_sent(other_door: Door, tmp_path: Path) -> None:
    folder = other_door.repository.model("image_classifier") / "golden"
    content = base64.b64encode((folder / "chelsea.jpg").read_bytes()).decode()
    with browsing(tmp_path / "home", other_door.certificate) as browser:
        reader = Reader(browser, other_door)
        reader.opens()
        reader.gives(token_of(other_door))
        reader.chooses("model", "/models/image_classifier/predict")
        reader.chooses("example", "")
        assert "missing required input(s) ['IMAGE']" in reader.asks()
        browser.run(
            "(() => { const input = document.querySelector('#fields input[type=file]');"
            "const files = new DataTransfer();"
            f"const bytes = Uint8Array.from(atob('{content}'), (each) => each.charCodeAt(0));"
            "files.items.add(new File([bytes], 'my cat.jpg', { type: 'image/jpeg' }));"
            "input.files = files.files; input.dispatchEvent(new Event('change')); })()"
        )
        reader.until("document.querySelector('#fields .hint').textContent", "my cat.jpg")
        assert "cat" in reader.asks()
        assert "base64 -w0 photo.jpg" in reader.curl
        reader.chooses("model", "/models/linear_onnx/predict")
        reader.fills("x", "1, 2, 3, 4, 5, 6, 7, nothing")
        assert "x is no list of values" in reader.asks()
        reader.fills("x", "1, 2, 3, 4, 5, 6, 7, 8.5")
        assert "200, after" in reader.asks()


def test_the_page_is_small_and_needs_nothing_from_elsewhere() -> None:
    html = page()
    assert len(html.encode()) < MOST_BYTES
    assert not re.search(r"https?://|@import|url\(|\b(src|href)=", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    assert not re.search(r"localStorage|sessionStorage|document\.cookie", html)
