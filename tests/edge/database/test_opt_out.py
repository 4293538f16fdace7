"""The link that stops a garage's mails, as people, mail programs and attackers use it."""

from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from sql_tests import outcomes
from sql_tests.cast import CARLA, NOORD
from sql_tests.steps import change, look

pytestmark = pytest.mark.req("D10")

STOPPED = "select count(*) from public.customer_opt_outs where customer_id = %s and channel = 'email'"
TOKEN = "select private.opt_out_token(%s)"
LOCALE = "update public.communications set locale = %s where id = %s"
NAME = "update public.garages set trade_name = %s where id = %s"


class Page(HTMLParser):
    """What a screen reader and a browser find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.language, self.forms, self.tags, self.text = "", [], [], ""  # type: ignore[var-annotated]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "html":
            self.language = dict(attrs)["lang"] or ""
        if tag == "form":
            self.forms.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def mail(portal: Any) -> str:
    change(portal.database, "delete from public.customer_opt_outs")
    return outcomes.sent(portal.database, CARLA.customer_id)


@pytest.fixture
def path(portal: Any, mail: str) -> str:
    return f"/opt-out/{look(portal.database, TOKEN, mail)}"


def is_stopped(portal: Any) -> bool:
    return bool(look(portal.database, STOPPED, CARLA.customer_id))


@pytest.mark.parametrize(
    ("locale", "asks", "done"),
    [
        ("nl", "E-mails van Garage Noord stoppen", "U krijgt geen e-mails meer van Garage Noord"),
        ("fr", "Ne plus recevoir d’e-mails de Garage Noord", "Vous ne recevrez plus d’e-mails de"),
        ("en", "Stop e-mails from Garage Noord", "You get no more e-mails from Garage Noord"),
    ],
)
def test_the_page_asks_in_the_language_of_the_mail_and_its_button_stops_them(
    portal: Any, mail: str, path: str, locale: str, asks: str, done: str
) -> None:
    change(portal.database, LOCALE, locale, mail)
    answer = portal.http.get(path, headers={"accept-language": "de"})
    page = Page(answer.text)
    assert (answer.status_code, page.language, answer.headers["content-language"]) == (200, locale, locale)
    assert asks in page.text and "h1" in page.tags and page.tags.count("button") == 1
    assert page.forms == [{"method": "post"}], "it posts to where it came from"
    assert not is_stopped(portal)
    for _ in range(2):
        stopped = portal.http.post(path)
        assert stopped.status_code == 200 and done in stopped.text
        assert Page(stopped.text).forms == []
    assert is_stopped(portal)


def test_an_address_that_was_replaced_is_not_said_to_be_stopped(portal: Any, path: str) -> None:
    move = "update public.customers set email = %s where id = %s"
    change(portal.database, move, "new@example.test", CARLA.customer_id)
    try:
        answer = portal.http.post(path)
    finally:
        change(portal.database, move, CARLA.login, CARLA.customer_id)
    assert answer.status_code == 200 and "schrijft niet meer naar dit adres" in answer.text
    assert not is_stopped(portal)


def test_a_mail_program_stops_them_in_one_click(portal: Any, path: str) -> None:
    answer = portal.http.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert is_stopped(portal)


def test_neither_a_look_nor_a_preflight_stops_anything(portal: Any, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        portal.http.request(method, path)
    assert not is_stopped(portal)
    portal.http.post(path)
    assert is_stopped(portal)


def test_a_link_of_nobody_is_said_to_be_none_in_the_language_of_the_reader(portal: Any, path: str) -> None:
    own = path.removeprefix("/opt-out/")
    for forged in (own[:32] + "0" * 32, own.upper(), own[:-1], own + "0", "%00", "x" * 5000):
        for method in ("GET", "POST"):
            answer = portal.http.request(method, f"/opt-out/{forged}", headers={"accept-language": "fr"})
            assert answer.status_code == 404, forged
            assert "Ce lien n’est pas valable" in answer.text and Page(answer.text).language == "fr"
    assert not is_stopped(portal)


def test_a_garages_name_is_text_and_nothing_runs_or_is_kept(portal: Any, path: str) -> None:
    name = look(portal.database, "select trade_name from public.garages where id = %s", NOORD)
    change(portal.database, NAME, "<script>alert(1)</script> {0} {garage}", NOORD)
    try:
        answer: httpx.Response = portal.http.get(path)
    finally:
        change(portal.database, NAME, name, NOORD)
    page = Page(answer.text)
    assert "script" not in page.tags and "<script>alert(1)</script> {0} {garage}" in page.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "form-action 'self'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert path.rpartition("/")[2] not in portal.log.read_text()
