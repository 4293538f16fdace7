import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from workers.adapters import sendgrid
from workers.adapters.sendgrid import SendGridMailer
from workers.core.errors import ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.jobs import SendJob
from workers.core.messages import render_mail
from workers.core.values import Sites
from workers.ports import MailFile

if TYPE_CHECKING:
    from conftest import Provider

SITES = Sites("https://portal.autexor.be", "https://app.autexor.be", "https://edge.autexor.be")
REFERENCE = UUID("99999999-0000-4000-8000-000000000001")


@pytest.fixture
def send(send_job: Callable[..., SendJob]) -> Callable[..., str | None]:
    def call(url: str, file: MailFile | None = None) -> str | None:
        job = send_job()
        mail = render_mail(job, SITES)
        return SendGridMailer("SG.abc.def", url).send(mail, job.recipient, job.sender, file, REFERENCE)

    return call


Send = Callable[..., str | None]


@pytest.mark.req("D8")
def test_the_request_is_the_one_sendgrid_documents(provider: "Provider", send: Send) -> None:
    provider.answer.status = 202
    provider.answer.headers = {"X-Message-Id": "14c5d75ce93"}
    assert send(provider.url, MailFile("2026-00001.pdf", b"%PDF-")) == "14c5d75ce93"
    ((path, headers, body),) = provider.requests
    assert path == "/v3/mail/send"
    assert headers["Authorization"] == "Bearer SG.abc.def"
    request: dict[str, Any] = json.loads(body)
    assert request["from"] == {"email": "no-reply@autexor.be", "name": "Garage Noord"}
    assert request["reply_to"] == {"email": "info@garage-noord.test", "name": "Garage Noord"}
    (person,) = request["personalizations"]
    assert person["to"] == [{"email": "carla@example.test", "name": "Carla Peeters-Lefèvre"}]
    assert request["custom_args"] == {"communication_id": str(REFERENCE)}
    assert [part["type"] for part in request["content"]] == ["text/plain", "text/html"]
    assert request["attachments"] == [
        {
            "content": "JVBERi0=",
            "type": "application/pdf",
            "filename": "2026-00001.pdf",
            "disposition": "attachment",
        }
    ]
    stop = f"{SITES.edge_url}/opt-out/"
    assert request["headers"]["List-Unsubscribe"].startswith(f"<{stop}")
    assert request["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert all(stop in part["value"] for part in request["content"])
    assert not any(kind["enable"] for kind in request["tracking_settings"].values())


@pytest.mark.req("D8")
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_took_nothing_is_asked_again(provider: "Provider", send: Send, status: int) -> None:
    provider.answer.status = status
    provider.answer.headers = {"Retry-After": "42"}
    with pytest.raises(ProviderUnavailable) as caught:
        send(provider.url)
    assert (caught.value.reason, caught.value.retry_after) == (f"sendgrid_http_{status}", 42)


@pytest.mark.req("D8")
@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_that_may_follow_acceptance_is_silence(
    provider: "Provider", send: Send, status: int
) -> None:
    provider.answer.status = status
    with pytest.raises(ProviderSilent, match=f"^sendgrid_http_{status}$"):
        send(provider.url)


@pytest.mark.req("G4")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider: "Provider", send: Send, status: int) -> None:
    provider.answer.status = status
    provider.answer.headers = {"Location": f"{provider.url}/elsewhere"}
    with pytest.raises(ProviderRefused, match=f"sendgrid_http_{status}"):
        send(provider.url)
    assert [path for path, _, _ in provider.requests] == ["/v3/mail/send"]


@pytest.mark.req("G4")
def test_a_proxy_of_the_environment_is_not_used(proxy: "Provider", send: Send, unused_url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        send(unused_url)
    assert not proxy.requests


@pytest.mark.req("D8")
def test_a_refusal_names_the_field_and_not_the_address(provider: "Provider", send: Send) -> None:
    error = {"message": "The to email carla@ does not contain a valid address.", "field": "to.0.email"}
    provider.answer.status = 400
    provider.answer.body = json.dumps({"errors": [error]}).encode()
    with pytest.raises(ProviderRefused) as caught:
        send(provider.url)
    assert caught.value.reason == "sendgrid_http_400 to.0.email"


@pytest.mark.req("D8")
def test_a_connection_dropped_after_the_request_is_silence(provider: "Provider", send: Send) -> None:
    provider.answer.hangs_up = True
    with pytest.raises(ProviderSilent):
        send(provider.url)
    assert len(provider.requests) == 1


@pytest.mark.req("D8")
def test_no_answer_in_time_is_silence(
    provider: "Provider", send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendgrid, "_TIMEOUT_SECONDS", 0.2)
    provider.answer.silent_seconds = 0.6
    with pytest.raises(ProviderSilent):
        send(provider.url)


@pytest.mark.req("D8")
def test_a_provider_that_cannot_be_reached_is_asked_again(send: Send, unused_url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        send(unused_url)
