from typing import TYPE_CHECKING

import pytest

from workers.core.errors import ProviderRefused, ProviderSilent, ProviderUnavailable, WorkerError
from workers.core.jobs import ReceiptsJob, parse_job
from workers.core.outcomes import Done, GiveUp, RetryLater
from workers.handlers import handle
from workers.ports import PushReceipt

if TYPE_CHECKING:
    from conftest import MemoryPorts

pytestmark = pytest.mark.req("P14", "D9")


def job(*tickets: str) -> ReceiptsJob:
    parsed = parse_job(
        {
            "kind": "check_push_receipts",
            "subject_id": "99999999-0000-4000-8000-000000000001",
            "garage_id": "11111111-0000-4000-8000-000000000001",
            "attempt": 1,
            "tickets": tickets,
        }
    )
    assert isinstance(parsed, ReceiptsJob)
    return parsed


def test_receipts_are_handed_on_as_they_are_and_strangers_left_out(ports: "MemoryPorts") -> None:
    ports.pusher.told = {"a": PushReceipt(None), "b": PushReceipt("DeviceNotRegistered")}
    outcome = handle(job("a", "b", "c"), ports)
    assert outcome == Done({"receipts": {"a": {"error": None}, "b": {"error": "DeviceNotRegistered"}}})


@pytest.mark.parametrize(
    "failure", [ProviderSilent("expo_timeout"), ProviderUnavailable("expo_http_429", 90)]
)
def test_asking_is_repeated_whatever_became_of_the_call(ports: "MemoryPorts", failure: WorkerError) -> None:
    ports.pusher.failure = failure
    outcome = handle(job("a"), ports)
    assert isinstance(outcome, RetryLater) and outcome.reason == failure.reason
    assert outcome.delay >= (90 if isinstance(failure, ProviderUnavailable) else 1)


def test_a_refusal_is_not_repeated_at_once(ports: "MemoryPorts") -> None:
    ports.pusher.failure = ProviderRefused("expo_http_400")
    assert handle(job("a"), ports) == GiveUp("expo_http_400")
