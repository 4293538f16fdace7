"""The adapter for Expo against the sandboxed Expo."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from workers.adapters.expo import ExpoPusher
from workers.core.errors import (
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
    RecipientGone,
)
from workers.core.messages import Push
from workers.ports import PushReceipt

PUSH = Push("Factuur", "Klaar")


def token(name: str) -> str:
    return f"ExponentPushToken[{name}]"


@pytest.fixture
def pusher(url: str, client: httpx.Client) -> Iterator[ExpoPusher]:
    with closing(ExpoPusher(f"{url}/sandbox/expo")) as pusher:
        yield pusher


@pytest.mark.req("P14")
def test_receipts_tell_what_became_of_each(pusher: ExpoPusher) -> None:
    names = ["Fine", "Gone", "Rate", "Sender", "Credentials", "Never"]
    tickets = [pusher.push(token(name), PUSH, {}) for name in names]
    ids = [ticket for ticket in tickets if ticket]
    told = pusher.receipts([*ids, "unknown"])
    assert [told.get(ticket) for ticket in ids] == [
        PushReceipt(None),
        PushReceipt("DeviceNotRegistered"),
        PushReceipt("MessageRateExceeded"),
        PushReceipt("MismatchSenderId"),
        PushReceipt("InvalidCredentials"),
        None,
    ]
    assert "unknown" not in told


@pytest.mark.req("P14")
def test_receipts_that_cannot_be_had_now_are_asked_for_again(
    pusher: ExpoPusher, client: httpx.Client
) -> None:
    for kind in ("status-429", "status-500", "silent"):
        client.post("/sandbox/faults", json={"provider": "expo", "kind": kind, "count": 1})
        with pytest.raises(ProviderUnavailable):
            pusher.receipts(["some-ticket"])
    assert pusher.receipts(["some-ticket"]) == {}
    assert pusher.receipts([]) == {}


@pytest.mark.req("P14")
@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("Dead", RecipientGone, "DeviceNotRegistered"),
        ("fail-429", ProviderUnavailable, "expo_http_429"),
        ("fail-503", ProviderUnavailable, "expo_http_503"),
        ("fail-500", ProviderSilent, "expo_http_500"),
        ("fail-400", ProviderRefused, "expo_http_400"),
        ("silent", ProviderSilent, "expo_ConnectionError"),
    ],
)
def test_what_goes_wrong_is_told_by_its_type(
    pusher: ExpoPusher, name: str, kind: type[ProviderError], reason: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        pusher.push(token(name), PUSH, {})
    assert (type(caught.value), caught.value.reason) == (kind, reason)


def test_a_ticket_that_is_too_big_to_send_is_refused(pusher: ExpoPusher) -> None:
    big: dict[str, Any] = {"x": "y" * 4096}
    with pytest.raises(ProviderRefused, match=r"^MessageTooBig$"):
        pusher.push(token("Fine"), PUSH, big)
