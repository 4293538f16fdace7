"""The adapter for Expo against the sandboxed Expo."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from workers.adapters.expo import ExpoPusher, Notification
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
def test_many_go_out_a_hundred_at_a_time_and_each_has_its_own_result(
    pusher: ExpoPusher, client: httpx.Client
) -> None:
    before = len(client.get("/inbox.json").json())
    names = ["Dead" if n == 7 else f"Phone-{n}" for n in range(250)]
    batch = [Notification(token(name), PUSH, {}) for name in names]
    batch[149] = Notification("nonsense", PUSH, {})
    results = pusher.push_many(batch)
    assert isinstance(results[7], RecipientGone)
    assert isinstance(results[149], ProviderRefused)
    assert sum(isinstance(one, str) for one in results) == 248
    assert len(client.get("/inbox.json").json()) == before + 248


@pytest.mark.req("P14")
def test_a_batch_that_fails_leaves_the_others_as_they_are(pusher: ExpoPusher) -> None:
    names = [f"Phone-{n}" for n in range(101)]
    names[50] = "fail-500"
    results = pusher.push_many([Notification(token(name), PUSH, {}) for name in names])
    assert all(isinstance(one, ProviderSilent) for one in results[:100])
    assert isinstance(results[100], str)


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
