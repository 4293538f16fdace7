from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from workers.core.contexts import PortalEvent
from workers.core.jobs import PushDetails, PushTemplate, SendJob
from workers.core.kinds import KINDS
from workers.core.messages import Mail, render_mail, render_push
from workers.core.payload import LOCALES, Locale
from workers.core.values import Sites

TEMPLATES = Path(__file__).parents[2] / "workers/templates/messages"
PORTAL = "https://portal.autexor.be"
DMS = "https://app.autexor.be"
SITES = Sites(PORTAL, DMS, "https://portal.autexor.be/functions/v1")
FILE = {"bucket": "invoices", "path": "a/b/c.pdf", "filename": "2026-00001.pdf"}


def test_every_template_file_has_a_use() -> None:
    wanted = {
        f"{name}.{locale}.{part}.j2"
        for name, kind in KINDS.items()
        for locale in LOCALES
        for part in {*kind.channels, "html"}
    }
    assert {path.name for path in TEMPLATES.iterdir()} == wanted | {"layout.html.j2"}


def shown(mail: Mail) -> str:
    return f"Subject: {mail.subject}\n\n{mail.text}"


@pytest.mark.req("D8")
@pytest.mark.parametrize("locale", LOCALES)
def test_the_mail_in_each_language(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], locale: str
) -> None:
    mail = render_mail(send_job(locale, attachment=FILE), SITES)
    golden(f"invoice_issued.{locale}.txt", shown(mail))
    golden(f"invoice_issued.{locale}.html", mail.html)


@pytest.mark.req("D7", "D8")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_credit_note_mail_says_what_it_corrects_and_asks_for_no_payment(
    send_job: Callable[..., SendJob],
    send_payload: Callable[..., dict[str, Any]],
    golden: Callable[[str, str], None],
    locale: str,
) -> None:
    context = send_payload()["context"] | {
        "invoice_number": "CN2026-00001",
        "credits_number": "2026-00001",
        "structured_communication": None,
    }
    job = send_job(locale, template="credit_note_issued", context=context, attachment=FILE)
    mail = render_mail(job, SITES)
    golden(f"credit_note_issued.{locale}.txt", shown(mail))
    golden(f"credit_note_issued.{locale}.html", mail.html)
    for body in (mail.text, mail.html):
        assert "CN2026-00001" in body and " 2026-00001" in body
        assert "+++" not in body and "BE68" not in body


@pytest.mark.req("D8")
@pytest.mark.parametrize("locale", LOCALES)
def test_an_invoice_mail_says_what_to_pay_until_when_and_where_to_look(
    send_job: Callable[..., SendJob], locale: str
) -> None:
    mail = render_mail(send_job(locale), SITES)
    for body in (mail.text, mail.html):
        for wanted in ("2026-00001", "2026", "+++001/2345/60325+++", "BE68\xa05390\xa00754\xa07034", PORTAL):
            assert wanted in body


def test_nothing_to_pay_asks_for_no_payment(
    send_job: Callable[..., SendJob], send_payload: Callable[..., dict[str, Any]]
) -> None:
    context = send_payload()["context"] | {"gross_total": "0.00"}
    mail = render_mail(send_job(context=context), SITES)
    assert "niets te betalen" in mail.text
    assert "+++" not in mail.text + mail.html


@pytest.mark.req("D8")
def test_names_cannot_add_headers_or_markup(
    send_job: Callable[..., SendJob], send_payload: Callable[..., dict[str, Any]]
) -> None:
    context = send_payload()["context"] | {
        "garage_name": "Noord\r\nBcc: all@evil.test <script>",
        "customer_name": "{{ portal_url }}<img src=x>",
    }
    mail = render_mail(send_job(context=context), SITES)
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject
    assert "<script" not in mail.html
    assert "<img" not in mail.html
    assert "{{ portal_url }}" in mail.text


@pytest.mark.req("D3", "D8")
@pytest.mark.parametrize("locale", LOCALES)
def test_an_invitation_says_who_asks_where_to_accept_and_until_when(
    invite_job: Callable[..., SendJob], golden: Callable[[str, str], None], locale: str
) -> None:
    mail = render_mail(invite_job(locale), SITES)
    for body in (mail.text, mail.html):
        assert f"{DMS}/invitation#token=0123abcd" in body
        assert "Olga Peeters" in body
        assert "2026" in body
        assert PORTAL not in body
    golden(f"member_invited.{locale}.txt", shown(mail))
    golden(f"member_invited.{locale}.html", mail.html)


@pytest.mark.req("P12", "D8")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_mail_about_a_message_says_where_to_read_it(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], locale: str
) -> None:
    context = {"garage_name": "Garage Noord", "customer_name": "Carla Peeters-Lefèvre"}
    mail = render_mail(send_job(locale, template="message_received", context=context), SITES)
    for body in (mail.text, mail.html):
        assert PORTAL in body
    golden(f"message_received.{locale}.txt", shown(mail))
    golden(f"message_received.{locale}.html", mail.html)


LINKS = {
    "portal_invited": "activate",
    "portal_password_reset": "password",
    "portal_email_change": "email",
}
NOORD = "11111111-0000-4000-8000-000000000001"
ACCESS = {
    "garage_id": NOORD,
    "garage_name": "Garage Noord",
    "customer_name": "Carla Peeters-Lefèvre",
    "token": "0123ABCD4567",
    "event": None,
    "at": "2026-12-06T14:30",
}


@pytest.mark.req("P1", "P2", "P3")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", [*LINKS, "portal_device_code"])
def test_a_mail_about_access_holds_the_one_token_behind_the_hash(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], template: str, locale: str
) -> None:
    job = send_job(locale, template=template, context=ACCESS)
    mail = render_mail(job, SITES)
    for body in (mail.text, mail.html.replace("&amp;", "&")):
        assert "14:30" in body
        if template in LINKS:
            assert f"{PORTAL}/{LINKS[template]}#garage={NOORD}&token=0123ABCD4567" in body
        else:
            assert "0123-ABCD-4567" in body and PORTAL not in body
    assert "0123" not in mail.subject + repr(job)
    golden(f"{template}.{locale}.txt", shown(mail))
    golden(f"{template}.{locale}.html", mail.html)


@pytest.mark.req("P2")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_notice_says_what_was_changed_and_has_nothing_to_click(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], locale: str
) -> None:
    said = set()
    for event in get_args(PortalEvent):
        context = ACCESS | {"token": None, "event": event}
        mail = render_mail(send_job(locale, template="portal_notice", context=context), SITES)
        assert "http" not in mail.text + mail.html
        said.add(mail.text)
    assert len(said) == len(get_args(PortalEvent))
    golden(f"portal_notice.{locale}.txt", shown(mail))
    golden(f"portal_notice.{locale}.html", mail.html)


@pytest.mark.req("P14")
def test_a_notification_says_more_only_where_that_was_allowed() -> None:
    plain = render_push("message_received", "nl")
    told = render_push("message_received", "nl", PushDetails(title="Garage Noord", body="Hij is klaar"))
    photo = render_push("message_received", "nl", PushDetails(title="Garage Noord", body=None))
    assert (told.title, told.body) == ("Garage Noord", "Hij is klaar")
    assert (photo.title, photo.body) == ("Garage Noord", plain.body)
    assert plain.title == "Nieuw bericht"


@pytest.mark.req("P14")
@pytest.mark.parametrize("template", get_args(PushTemplate))
@pytest.mark.parametrize("locale", LOCALES)
def test_a_notification_has_short_fixed_words(template: PushTemplate, locale: Locale) -> None:
    push = render_push(template, locale)
    assert 5 < len(push.title) < 40
    assert 20 < len(push.body) < 110
    assert not any(character.isdigit() or character in "{}€" for character in push.title + push.body)


WEBSITE = {"request_id": "99999999-0000-4000-8000-000000000002", "received_at": "2026-12-06T14:30"}


@pytest.mark.req("W1", "W4")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", ["website_notice", "website_acknowledgement"])
def test_a_mail_about_a_request_on_the_website_has_fixed_words(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], template: str, locale: str
) -> None:
    said = set()
    for kind in ("contact", "privacy", "demo"):
        context = WEBSITE | {"request_kind": kind}
        mail = render_mail(send_job(locale, template=template, garage_id=None, context=context), SITES)
        assert "14:30" in mail.text and "99999999" in mail.text
        assert "http" not in mail.text + mail.html
        said.add(mail.subject)
    assert len(said) == (3 if template == "website_notice" else 1)
    golden(f"{template}.{locale}.txt", shown(mail))
    golden(f"{template}.{locale}.html", mail.html)


OWNERS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "support_requested": (
        f"{DMS}/support",
        [{"is_read_only": True, "hours": 2}, {"is_read_only": False, "hours": 1}],
    ),
    "breach_notified": (
        f"{DMS}/breaches",
        [
            {"is_first": True, "noticed_at": "2026-11-02T10:00"},
            {"is_first": False, "noticed_at": "2026-11-02T10:00"},
        ],
    ),
}


@pytest.mark.req("D15", "G8", "D8")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", OWNERS)
def test_what_autexor_tells_an_owner_is_that_there_is_something_to_read_and_where(
    send_job: Callable[..., SendJob], golden: Callable[[str, str], None], template: str, locale: str
) -> None:
    link, contexts = OWNERS[template]
    said = []
    for context in contexts:
        context = {"garage_name": "Garage Noord", **context}
        mail = render_mail(send_job(locale, template=template, context=context), SITES)
        for body in (mail.text, mail.html):
            assert link in body and "Garage Noord" in body and PORTAL not in body
        assert ("72" in mail.text) == (template == "breach_notified")
        assert mail.html.count("Autexor") > 1 and not mail.opt_out_url
        said.append(mail)
    golden(f"{template}.{locale}.txt", "\n---\n".join(shown(mail) for mail in said))
    golden(f"{template}.{locale}.html", said[0].html)
