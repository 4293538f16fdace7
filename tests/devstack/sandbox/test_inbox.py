"""The page that shows what was sent: every kind side by side, without scripts."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from devstack.config import GatewayConfig
from devstack.sandbox.inbox import PER_COLUMN, PER_PAGE
from devstack.sandbox.store import Store

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def filled(url: str, config: GatewayConfig) -> Iterator[str]:
    store = Store(config.data_dir / "sandbox")
    person = {"email": "carla@example.test", "name": EVIL}
    for n in range(PER_PAGE + 5):
        mail = {"from": person, "to": [person], "subject": f"Factuur {n} {EVIL}", "text": EVIL}
        store.add(f"mail-{n}", "email", {**mail, "html": f"<p>Beste</p>{EVIL}"})
    text = {"from": "+3231234567", "to": ["+32470123456"], "text": f"Klaar {EVIL}", "content_sid": None}
    store.add("sms-1", "sms", {**text, "segments": 2, "encoding": "UCS-2", "variables": None})
    content = {"text": None, "content_sid": "HX1", "variables": {"1": EVIL}}
    store.add("whatsapp-1", "whatsapp", {**text, **content, "segments": 1, "encoding": "GSM-7"})
    push = {"from": None, "to": ["ExponentPushToken[x]"], "title": EVIL, "body": EVIL, "data": {"a": EVIL}}
    store.add("push-1", "push", push)
    store.close()
    yield url


class Page(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        answer = httpx.get(url)
        assert answer.status_code == 200, answer.text
        self.text, self.headers = answer.text, answer.headers
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.req("D8")
def test_every_kind_is_shown_beside_the_others(filled: str) -> None:
    page = Page(f"{filled}/inbox")
    titles = re.findall(r"<h2 id=\"kind-\w+\">([^<]+)</h2>", page.text)
    assert titles == ["E-mail", "SMS", "WhatsApp", "Push"]
    assert len(page.all("article")) == PER_COLUMN + 3
    assert "2 segments, UCS-2" in page.text
    frames = page.all("iframe")
    assert len(frames) == PER_COLUMN
    for frame in frames:
        assert frame["sandbox"] is None and str(frame["srcdoc"]).startswith("<p>Beste</p>")


@pytest.mark.req("D8")
def test_one_kind_can_be_looked_at_alone_page_by_page(filled: str) -> None:
    sms = Page(f"{filled}/inbox?kind=sms")
    assert [link["href"] for link in sms.all("a") if link.get("aria-current")] == ["/inbox?kind=sms"]
    assert "/inbox/sms-1" in sms.text and "/inbox/mail-1" not in sms.text
    first = Page(f"{filled}/inbox?kind=email")
    assert len(first.all("tr")) == PER_PAGE + 1
    (older,) = [link["href"] for link in first.all("a") if link.get("rel") == "next"]
    assert len(Page(f"{filled}{older}").all("tr")) == 5 + 1


@pytest.mark.parametrize(
    "path",
    [
        "",
        "?kind=email",
        "?kind=nonsense",
        "?kind=sms&page=-1",
        "?kind=sms&page=99999999999",
        "?page=²",
        "/mail-1",
        "/sms-1",
        "/whatsapp-1",
        "/push-1",
    ],
)
def test_no_page_runs_a_script_or_shows_what_was_sent_as_its_own(filled: str, path: str) -> None:
    page = Page(f"{filled}/inbox{path}")
    assert not page.all("script") and not page.all("img")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["", "?kind=email", "/mail-1", "/sms-1"])
def test_pages_can_be_read_without_seeing_them(filled: str, path: str) -> None:
    page = Page(f"{filled}/inbox{path}")
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    assert page.all("nav") and bool(page.all("iframe")) == (path in ("", "/mail-1"))
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    assert all(frame.get("title") for frame in page.all("iframe"))
    assert all(cell.get("scope") for cell in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes}
    assert labels <= set(ids)
