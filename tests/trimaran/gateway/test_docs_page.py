"""The page at /docs in a real browser: a person types a record and reads a real Triton's answer."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Served, wait_for
from tests.trimaran.gateway.front import REQUEST_ID, TOKEN, front_of
from tests.trimaran.pages.browser import SHOWN, Browser, browsing
from trimaran.gateway.docs_page import page

TIMEOUT_S = 30.0
MOST_BYTES = 40_000


class Reader:
    """A person before the page."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        self.address = address

    def opens(self, scheme: Any = "light", width: int = 1280) -> None:
        self.browser.show(f"{self.address}/docs", width, scheme)

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


def shell(command: str) -> str:
    """What a shell prints that runs a command with the token in `TOKEN`."""
    options = {"env": {**os.environ, "TOKEN": TOKEN}, "capture_output": True, "check": True}
    return subprocess.run(["bash", "-c", command], text=True, **options).stdout


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser") / "home") as found:
        yield found


def test_a_person_types_a_record_and_reads_the_answer(
    churn_served: Served, browser: Browser
) -> None:
    with front_of(churn_served, ["churn", "churn_feedback", "churn_record"]) as address:
        reader = Reader(browser, address)
        reader.opens()
        refused = reader.gives("another token")
        assert refused == "The models are not shown: 401, the token expired; get another."
        assert reader.gives(TOKEN) == "There are 3 models."
        reader.chooses("example", "leaves")
        answer = reader.asks()
        assert re.match(r"200 OK, after \d+ ms", answer)
        assert re.search(r"churn_prediction\s+true", answer)
        assert re.search(rf"x-request-id\s+{REQUEST_ID}", answer)
        reader.fills("total_day_minutes", "180")
        reader.fills("voice_mail_plan", "yes")
        reader.fills("customer_id", "<b>it's & me</b>")
        answer = reader.asks()
        assert re.search(r"churn_prediction\s+false", answer)
        assert "<b>it's & me</b>" in answer
        assert json.loads(shell(reader.curl))["customer_id"] == "<b>it's & me</b>"
        reader.fills("total_day_minutes", "-5")
        answer = reader.asks()
        assert "400 Bad Request" in answer
        assert "field 'total_day_minutes' is -5; expected between 0 and 1440" in answer
        assert re.search(r"where\s+churn", answer)
        reader.chooses("model", "/models/churn_record/predict")
        assert re.search(r"churn_prediction\s+true", reader.asks())
        assert "RECORD" in reader.curl


def test_the_page_can_be_read(churn_served: Served, browser: Browser) -> None:
    found = {}
    with front_of(churn_served, ["churn"]) as address:
        reader = Reader(browser, address)
        for scheme, width in SHOWN:
            reader.opens(scheme, width)
            reader.gives(TOKEN)
            reader.asks()
            reader.fills("total_day_minutes", "-5")
            reader.asks()
            browser.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
            if problems := browser.problems():
                found[f"{scheme}, {width} px"] = problems
    assert found == {}


@pytest.mark.long
def test_a_photograph_is_chosen_shown_and_sent(served: Served, browser: Browser) -> None:
    folder = served.repository.model("image_classifier") / "golden"
    content = base64.b64encode((folder / "chelsea.jpg").read_bytes()).decode()
    with front_of(served, ["image_classifier", "linear_onnx"]) as address:
        reader = Reader(browser, address)
        reader.opens()
        reader.gives(TOKEN)
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
        assert "200 OK" in reader.asks()


def test_the_page_is_small_and_needs_nothing_from_elsewhere() -> None:
    html = page()
    assert len(html.encode()) < MOST_BYTES
    assert not re.search(r"https?://|@import|url\(|\b(src|href)=", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)
    assert not re.search(r"localStorage|sessionStorage|document\.cookie", html)
