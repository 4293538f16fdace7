from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pydantic import ValidationError

from workers.core.errors import (
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
    RenderFailed,
)
from workers.core.jobs import PushJob, RemoveFileJob, RenderJob, SendJob
from workers.core.outcomes import Done, GiveUp, RetryLater, Unknown
from workers.handlers import handle

if TYPE_CHECKING:
    from conftest import MemoryPorts

FILE = {"bucket": "invoices", "path": "a/b/c.pdf", "filename": "2026-00001.pdf"}


@pytest.mark.req("D14")
def test_a_rendered_document_is_filed_and_described(
    render_job: Callable[..., RenderJob], ports: "MemoryPorts"
) -> None:
    job = render_job()
    outcome = handle(job, ports)
    stored = ports.files.stored["invoices", job.storage_path]
    assert outcome == Done(
        {
            "byte_size": len(stored),
            "sha256": sha256(stored).hexdigest(),
            "page_count": 1,
            "template_version": "invoice/2",
        }
    )


def test_a_document_of_more_pages_than_foreseen_is_set_again_with_the_right_total(
    render_job: Callable[..., RenderJob], ports: "MemoryPorts"
) -> None:
    ports.pdf.pages = lambda html: 2
    outcome = handle(render_job(), ports)
    assert isinstance(outcome, Done)
    assert outcome.result["page_count"] == 2
    first, second = ports.pdf.rendered
    assert "<pdf:pagenumber> van 1" in first
    assert "<pdf:pagenumber> van 2" in second


@pytest.mark.req("D14")
def test_a_failed_rendering_is_tried_again(
    render_job: Callable[..., RenderJob], ports: "MemoryPorts", monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RenderFailed("renderer_timed_out")

    monkeypatch.setattr(ports.pdf, "render", fail)
    outcome = handle(render_job(attempt=3), ports)
    assert isinstance(outcome, RetryLater)
    assert outcome.reason == "renderer_timed_out"
    assert 10 <= outcome.delay <= 20


@pytest.mark.req("D8")
def test_a_mail_goes_out_with_the_stored_document(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    ports.files.stored["invoices", "a/b/c.pdf"] = b"%PDF-"
    job = send_job(attachment=FILE)
    outcome = handle(job, ports)
    (sent,) = ports.mailer.sent
    assert sent.file is not None
    assert (sent.file.filename, sent.file.content) == ("2026-00001.pdf", b"%PDF-")
    assert (sent.to.address, sent.reference) == ("carla@example.test", job.subject_id)
    assert isinstance(outcome, Done)
    assert outcome.result["provider_message_id"] == "mail-1"
    assert outcome.result["subject"] == sent.mail.subject
    token = job.opt_out_token.get_secret_value()
    assert sent.mail.opt_out_url == f"https://edge.autexor.be/opt-out/{token}"
    assert token in sent.mail.html and token in sent.mail.text
    assert outcome.result["body_html"] == sent.mail.html.replace(token, "…")
    assert token not in str(outcome.result), "who reads what was sent cannot stop it in the customer's name"


@pytest.mark.req("D8")
def test_a_mail_whose_document_is_missing_is_not_sent(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    outcome = handle(send_job(attachment=FILE), ports)
    assert isinstance(outcome, GiveUp)
    assert not ports.mailer.sent


@pytest.mark.req("D8", "D9")
def test_a_mail_that_got_no_answer_is_unknown_and_keeps_what_was_said(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    ports.mailer.failure = ProviderSilent("sendgrid_TimeoutError")
    outcome = handle(send_job(), ports)
    assert isinstance(outcome, Unknown)
    assert outcome.result["body_text"].startswith("Dag Carla")


@pytest.mark.req("D3", "D8")
def test_an_invitation_leaves_its_token_in_the_mail_alone(
    invite_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    job = invite_job()
    outcome = handle(job, ports)
    (sent,) = ports.mailer.sent
    assert "0123abcd" in sent.mail.text
    assert isinstance(outcome, Done)
    assert outcome.result["subject"] == sent.mail.subject
    assert "0123abcd" not in str(outcome) + repr(job)


@pytest.mark.req("D8", "D9")
def test_a_crash_once_the_provider_was_called_never_sends_a_second_mail(
    send_job: Callable[..., SendJob], ports: "MemoryPorts", caplog: pytest.LogCaptureFixture
) -> None:
    ports.mailer.failure = KeyError("carla@example.test")
    outcome = handle(send_job(), ports)
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "KeyError"
    assert outcome.result["body_text"].startswith("Dag Carla")
    assert "provider.crashed error=KeyError at=memory.py:" in caplog.text
    assert "carla" not in caplog.text


@pytest.mark.req("D8")
def test_a_crash_before_the_provider_was_called_is_tried_again(
    send_job: Callable[..., SendJob], ports: "MemoryPorts", monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: object) -> bytes:
        raise KeyError("path")

    monkeypatch.setattr(ports.files, "download", crash)
    with pytest.raises(KeyError):
        handle(send_job(attachment=FILE), ports)
    assert not ports.mailer.sent


@pytest.mark.req("P14")
def test_a_crash_once_the_push_service_was_called_is_unknown(
    push_job: Callable[..., PushJob], ports: "MemoryPorts"
) -> None:
    ports.pusher.failure = AttributeError("no such thing")
    assert handle(push_job(), ports) == Unknown("AttributeError", {"provider": "memory"})


@pytest.mark.req("D8")
def test_a_refused_address_is_not_retried(send_job: Callable[..., SendJob], ports: "MemoryPorts") -> None:
    ports.mailer.failure = ProviderRefused("sendgrid_http_400 personalizations.0.to.0.email")
    outcome = handle(send_job(), ports)
    assert isinstance(outcome, GiveUp)
    assert outcome.reason == "sendgrid_http_400 personalizations.0.to.0.email"


@pytest.mark.req("D8")
def test_a_busy_provider_is_asked_again_when_it_said(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    ports.mailer.failure = ProviderUnavailable("sendgrid_http_429", retry_after=77)
    assert handle(send_job(), ports) == RetryLater("sendgrid_http_429", 77)


@pytest.mark.req("P14")
def test_a_push_carries_ids_and_fixed_words_alone(
    push_job: Callable[..., PushJob], ports: "MemoryPorts"
) -> None:
    job = push_job()
    outcome = handle(job, ports)
    ((token, push, data),) = ports.pusher.sent
    assert token == job.expo_token
    assert data == {"notification_id": str(job.subject_id), "kind": "invoice_issued"}
    assert push.title == "Nieuwe factuur"
    assert outcome == Done({"ticket_id": "ticket-1", "provider": "memory"})


@pytest.mark.req("P14")
def test_a_dead_device_is_given_up_by_the_word_that_retires_its_token(
    push_job: Callable[..., PushJob], ports: "MemoryPorts"
) -> None:
    ports.pusher.failure = RecipientGone("DeviceNotRegistered")
    outcome = handle(push_job(), ports)
    assert outcome == GiveUp("DeviceNotRegistered", {"provider": "memory"})


TWILIO = {
    "provider": "twilio",
    "id": "99999999-0000-4000-8000-000000000009",
    "account_sid": "AC" + "0" * 32,
    "secret": "a-token-nobody-sees",
    "sender": "+32460000000",
}
PHONE = {"address": "+32470111222", "name": "Carla Janssens"}
APPROVED = {
    "version": 3,
    "subject": None,
    "text": "Klaar. Geen berichten meer? Antwoord STOP",
    "html": None,
    "content_sid": "HX" + "0" * 32,
}


@pytest.mark.req("D8")
def test_a_text_goes_by_the_garages_own_account_and_its_segments_are_kept(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    outcome = handle(send_job(channel="sms", account=TWILIO, recipient=PHONE, attachment=None), ports)
    ((message, sender, reference),) = ports.providers.text.sent
    assert (message.channel, message.to, sender) == ("sms", "+32470111222", "+32460000000")
    assert isinstance(outcome, Done)
    assert outcome.result["body_text"] == message.body and "STOP" in str(message.body)
    assert outcome.result["segments"] >= 1
    assert (outcome.result["provider"], outcome.result["provider_message_id"]) == ("memory", "text-1")
    assert str(reference) == "99999999-0000-4000-8000-000000000001"


@pytest.mark.req("D10")
def test_whatsapp_takes_free_text_within_its_window_only_and_approved_templates_always(
    send_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    def send(**changes: object) -> object:
        return handle(
            send_job(channel="whatsapp", account=TWILIO, recipient=PHONE, attachment=None, **changes), ports
        )

    refused = send()
    assert isinstance(refused, GiveUp) and refused.reason == "whatsapp_window_closed"
    assert ports.providers.text.sent == []
    assert isinstance(send(has_open_window=True), Done)
    assert isinstance(send(wording=APPROVED), Done)
    free, approved = (message for message, _, _ in ports.providers.text.sent)
    assert free.body and free.content_sid is None
    assert approved.body is None and approved.content_sid == APPROVED["content_sid"]


@pytest.mark.req("D8", "P3")
def test_what_holds_a_token_is_sent_and_not_kept(
    invite_job: Callable[..., SendJob], ports: "MemoryPorts"
) -> None:
    outcome = handle(invite_job(), ports)
    (sent,) = ports.mailer.sent
    assert "0123abcd" in sent.mail.text
    assert isinstance(outcome, Done) and "0123abcd" not in str(outcome.result)


@pytest.mark.parametrize(
    ("channel", "account"), [("email", TWILIO), ("sms", None), ("whatsapp", {**TWILIO, "provider": "smtp"})]
)
def test_an_account_that_does_not_send_by_the_channel_makes_no_job(
    send_job: Callable[..., SendJob], channel: str, account: object
) -> None:
    with pytest.raises(ValidationError):
        send_job(channel=channel, account=account, recipient=PHONE)


def removal(bucket: str, path: str) -> RemoveFileJob:
    return RemoveFileJob(
        kind="remove_file", subject_id=uuid4(), garage_id=uuid4(), attempt=1, bucket=bucket, path=path
    )


@pytest.mark.req("G3")
def test_a_file_of_an_erased_row_is_removed_and_one_that_is_gone_is_as_good(ports: "MemoryPorts") -> None:
    ports.files.upload("b", "g/p.jpg", b"", "image/jpeg")
    assert handle(removal("b", "g/p.jpg"), ports) == Done({})
    assert ports.files.stored == {}
    assert handle(removal("b", "g/p.jpg"), ports) == Done({})


@pytest.mark.req("G3")
@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ProviderUnavailable("storage_http_503"), RetryLater), (ProviderRefused("storage_http_403"), GiveUp)],
)
def test_a_removal_waits_for_an_outage_and_is_given_up_when_refused(
    ports: "MemoryPorts", monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: type[object]
) -> None:
    def fail(bucket: str, path: str) -> None:
        raise error

    monkeypatch.setattr(ports.files, "remove", fail)
    assert isinstance(handle(removal("b", "g/p.jpg"), ports), outcome)
