from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from workers.core.jobs import describe_invalid, parse_job

Payload = Callable[..., dict[str, Any]]


def test_a_field_nobody_knows_is_refused(render_payload: Payload) -> None:
    with pytest.raises(ValidationError):
        parse_job(render_payload() | {"extra": 1})


def test_a_mail_must_bring_the_context_of_its_template(send_payload: Payload) -> None:
    with pytest.raises(ValidationError):
        parse_job(send_payload("invoice_issued") | {"template": "message_received"})


def test_an_unknown_kind_is_refused(send_payload: Payload) -> None:
    with pytest.raises(ValidationError):
        parse_job(send_payload() | {"kind": "send_pigeon"})


def test_what_is_said_of_a_bad_payload_holds_none_of_its_values(send_payload: Payload) -> None:
    payload = send_payload() | {"recipient": {"address": ["carla@example.test"], "name": "Carla"}}
    with pytest.raises(ValidationError) as caught:
        parse_job(payload)
    assert describe_invalid(caught.value) == "invalid_payload send_message.recipient.address string_type"
