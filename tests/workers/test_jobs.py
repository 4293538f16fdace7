from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from workers.core.jobs import PushJob, describe_invalid, parse_job

Payload = Callable[..., dict[str, Any]]
SUBJECT = "99999999-0000-4000-8000-000000000001"


def test_a_field_nobody_knows_is_refused(render_payload: Payload) -> None:
    with pytest.raises(ValidationError):
        parse_job(render_payload() | {"extra": 1})


def test_a_message_is_announced_by_push_and_never_by_mail(
    send_payload: Payload, push_job: Callable[..., PushJob]
) -> None:
    with pytest.raises(ValidationError):
        parse_job(send_payload() | {"template": "message_received"})
    assert push_job(template="message_received").template == "message_received"


def test_an_unknown_kind_is_refused(send_payload: Payload) -> None:
    with pytest.raises(ValidationError):
        parse_job(send_payload() | {"kind": "send_pigeon"})


def test_what_is_said_of_a_bad_payload_holds_none_of_its_values(send_payload: Payload) -> None:
    payload = send_payload() | {"recipient": {"address": ["carla@example.test"], "name": "Carla"}}
    with pytest.raises(ValidationError) as caught:
        parse_job(payload)
    assert describe_invalid(caught.value) == "invalid_payload send_message.recipient.address string_type"


@pytest.mark.req("P2")
def test_a_mail_about_access_has_a_token_or_an_event_and_never_both(send_payload: Payload) -> None:
    context = {
        "garage_id": "11111111-0000-4000-8000-000000000001",
        "garage_name": "Garage Noord",
        "customer_name": "Carla",
        "at": "2026-12-06T14:30",
    }
    job = send_payload() | {"attachment": None}
    kinds = {
        ("portal_invited", "t", None): True,
        ("portal_notice", None, "pin_changed"): True,
        ("portal_invited", None, "pin_changed"): False,
        ("portal_notice", "t", None): False,
        ("portal_invited", "t", "pin_changed"): False,
        ("portal_invited", None, None): False,
    }
    for (template, token, event), is_good in kinds.items():
        payload = job | {"template": template, "context": context | {"token": token, "event": event}}
        if is_good:
            assert parse_job(payload)
            continue
        with pytest.raises(ValidationError):
            parse_job(payload)


@pytest.mark.req("W1")
def test_a_mail_of_the_website_is_of_no_garage_and_every_other_is(send_payload: Payload) -> None:
    context = {"request_id": SUBJECT, "request_kind": "demo", "received_at": "2026-12-06T14:30"}
    website = {"template": "website_notice", "context": context}
    assert parse_job(send_payload(garage_id=None, **website))
    assert parse_job(send_payload())
    for payload in (send_payload(**website), send_payload(garage_id=None)):
        with pytest.raises(ValidationError):
            parse_job(payload)
    own = {"account": None, "wording": {"version": 1, "subject": "S", "text": "T", "html": None}}
    with pytest.raises(ValidationError):
        parse_job(send_payload(garage_id=None, **website, **own))
    typed = context | {"message": "free text"}
    with pytest.raises(ValidationError):
        parse_job(send_payload(garage_id=None, template="website_notice", context=typed))
