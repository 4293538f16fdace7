import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests
from urllib3.exceptions import MaxRetryError, SSLError

from workers.adapters import expo
from workers.adapters.expo import ExpoPusher
from workers.core.errors import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
)
from workers.core.jobs import PushJob
from workers.core.messages import Push
from workers.core.outcomes import Unknown
from workers.handlers import handle
from workers.ports import Ports

if TYPE_CHECKING:
    from conftest import Provider

TOKEN = "ExponentPushToken[CarlaNoordPhone0000001]"


def push(url: str, token: str = TOKEN) -> str | None:
    with closing(ExpoPusher(url)) as pusher:
        return pusher.push(token, Push("Nieuwe factuur", "Er staat …"), {"notification_id": "1"})


@pytest.fixture
def expo_provider(provider: "Provider") -> Iterator["Provider"]:
    provider.url += "/sandbox/expo"
    yield provider


def answer(provider: "Provider", ticket: dict[str, object], status: int = 200) -> None:
    provider.answer.status = status
    provider.answer.body = json.dumps({"data": [ticket]}).encode()


@pytest.mark.req("P14")
def test_the_request_is_the_one_expo_documents_also_under_a_path(expo_provider: "Provider") -> None:
    answer(expo_provider, {"status": "ok", "id": "XXXX-1"})
    assert push(expo_provider.url) == "XXXX-1"
    ((path, _, body),) = expo_provider.requests
    assert path == "/sandbox/expo/--/api/v2/push/send"
    (message,) = json.loads(body)
    assert message == {
        "to": TOKEN,
        "title": "Nieuwe factuur",
        "body": "Er staat …",
        "data": {"notification_id": "1"},
        "sound": "default",
    }


@pytest.mark.req("P14")
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("DeviceNotRegistered", RecipientGone),
        ("MessageRateExceeded", ProviderUnavailable),
        ("MessageTooBig", ProviderRefused),
        ("InvalidCredentials", ProviderRefused),
    ],
)
def test_a_ticket_with_an_error_is_told_by_its_type(
    expo_provider: "Provider", error: str, kind: type[ProviderError]
) -> None:
    answer(expo_provider, {"status": "error", "message": f"{TOKEN} …", "details": {"error": error}})
    with pytest.raises(kind) as caught:
        push(expo_provider.url)
    assert caught.value.reason == error


@pytest.mark.req("P14")
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_took_nothing_is_asked_again(expo_provider: "Provider", status: int) -> None:
    expo_provider.answer.status = status
    expo_provider.answer.body = b'{"errors":[{"code":"X","message":"y"}]}'
    expo_provider.answer.headers = {"Retry-After": "9"}
    with pytest.raises(ProviderUnavailable) as caught:
        push(expo_provider.url)
    assert caught.value.retry_after == 9


@pytest.mark.req("P14")
@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("body", [b"", b'{"errors":[{"code":"X","message":"y"}]}'])
def test_an_error_that_may_follow_acceptance_is_silence(
    expo_provider: "Provider", status: int, body: bytes
) -> None:
    expo_provider.answer.status = status
    expo_provider.answer.body = body
    with pytest.raises(ProviderSilent, match=f"^expo_http_{status}$"):
        push(expo_provider.url)


@pytest.mark.req("P14")
@pytest.mark.parametrize("body", [b'{"data": [null]}', b'{"data": 1}', b"[]", b'{"data": ["\xff"]}'])
def test_an_answer_that_breaks_the_library_makes_no_second_push(
    expo_provider: "Provider", push_job: Callable[..., PushJob], ports: Ports, body: bytes
) -> None:
    expo_provider.answer.body = body
    with closing(ExpoPusher(expo_provider.url)) as pusher:
        outcome = handle(push_job(), replace(ports, pusher=pusher))
    assert isinstance(outcome, Unknown)
    assert len(expo_provider.requests) == 1


@pytest.mark.req("G4")
def test_a_proxy_of_the_environment_is_not_used(proxy: "Provider", unused_url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        push(unused_url)
    assert not proxy.requests


@pytest.mark.req("P14")
def test_a_refused_request_is_not_repeated(expo_provider: "Provider") -> None:
    expo_provider.answer.status = 400
    expo_provider.answer.body = b'{"errors":[{"code":"VALIDATION_ERROR","message":"y"}]}'
    with pytest.raises(ProviderRefused, match="expo_http_400"):
        push(expo_provider.url)


@pytest.mark.req("P14")
def test_an_answer_nobody_understands_is_silence(expo_provider: "Provider") -> None:
    expo_provider.answer.body = b"<html>"
    with pytest.raises(ProviderSilent):
        push(expo_provider.url)


@pytest.mark.req("P14")
def test_a_dropped_connection_is_silence(expo_provider: "Provider") -> None:
    expo_provider.answer.hangs_up = True
    with pytest.raises(ProviderSilent):
        push(expo_provider.url)


@pytest.mark.req("P14")
@pytest.mark.parametrize(
    ("broken", "kind"),
    [(ssl.SSLCertVerificationError(), ProviderUnavailable), (ssl.SSLEOFError(), ProviderSilent)],
)
def test_tls_that_breaks_is_silence_unless_it_never_began(
    monkeypatch: pytest.MonkeyPatch, unused_url: str, broken: ssl.SSLError, kind: type[ProviderError]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise requests.exceptions.SSLError(MaxRetryError(None, "/", SSLError(broken)))  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "post", fail)
    with pytest.raises(kind, match="expo_SSLError"):
        push(unused_url)


@pytest.mark.req("P14")
def test_no_answer_in_time_is_silence(expo_provider: "Provider", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expo, "_TIMEOUT_SECONDS", 0.2)
    expo_provider.answer.silent_seconds = 0.6
    with pytest.raises(ProviderSilent):
        push(expo_provider.url)


def test_a_service_that_cannot_be_reached_is_asked_again(unused_url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        push(unused_url)


@pytest.mark.req("G4")
def test_a_redirect_is_not_followed(expo_provider: "Provider") -> None:
    expo_provider.answer.status = 307
    expo_provider.answer.headers = {"Location": "https://evil.test/"}
    with pytest.raises(ProviderRefused):
        push(expo_provider.url)
    assert len(expo_provider.requests) == 1


def test_what_is_no_expo_token_is_refused_unsent(expo_provider: "Provider") -> None:
    with pytest.raises(ProviderRefused):
        push(expo_provider.url, "nonsense")
    assert not expo_provider.requests


@pytest.mark.req("P14")
def test_no_more_than_six_hundred_go_out_in_any_second() -> None:
    now, passed = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = expo.Pace(600, lambda: now[0], sleep)
    for _ in range(40):
        pace.wait(100)
        passed.append(now[0])
    assert passed[0] == 0
    for start in passed:
        assert 100 * sum(start <= moment < start + 0.999 for moment in passed) <= 600
    now[0] += 60
    pace.wait(100)
    pace.wait(100)
    assert now[0] == pytest.approx(passed[-1] + 60 + 1 / 6)


@pytest.mark.req("P14")
def test_a_receipt_says_what_became_of_a_ticket_and_never_whose(expo_provider: "Provider") -> None:
    told = {
        "one": {"status": "ok"},
        "two": {"status": "error", "message": TOKEN, "details": {"error": "DeviceNotRegistered"}},
        "three": {"status": "error", "message": TOKEN, "details": {"error": TOKEN}},
        "four": {"status": "error", "message": TOKEN},
    }
    expo_provider.answer.body = json.dumps({"data": told}).encode()
    with closing(ExpoPusher(expo_provider.url)) as pusher:
        receipts = pusher.receipts(["one", "two", "three", "four", "five"])
    assert {name: receipt.error for name, receipt in receipts.items()} == {
        "one": None,
        "two": "DeviceNotRegistered",
        "three": "expo_receipt_error",
        "four": "expo_receipt_error",
    }
    ((path, _, body),) = expo_provider.requests
    assert path == "/sandbox/expo/--/api/v2/push/getReceipts"
    assert json.loads(body) == {"ids": ["one", "two", "three", "four", "five"]}
