from collections.abc import Callable
from typing import Any

import pytest

from workers.core.jobs import Snapshot
from workers.core.payment import epc_payload, payment_qr

Make = Callable[..., Snapshot]


@pytest.mark.req("D7")
def test_the_ogm_goes_in_the_structured_line_of_the_code(snapshot: Make) -> None:
    assert (epc_payload(snapshot(1)) or "").split("\n") == [
        "BCD",
        "002",
        "1",
        "SCT",
        "KREDBEBB",
        "Garage Noord BV",
        "BE68539007547034",
        "EUR115.11",
        "",
        "+++001/2345/60325+++",
    ]


@pytest.mark.parametrize("gross", ["0.00", "-12.50", "1000000000.00"])
def test_what_cannot_be_paid_has_no_code(snapshot: Make, gross: str) -> None:
    assert payment_qr(snapshot(1, totals={"net": gross, "vat": "0.00", "gross": gross})) is None


def test_a_wrong_check_digit_has_no_code(
    snapshot: Make, snapshot_payload: Callable[..., dict[str, Any]]
) -> None:
    assert payment_qr(snapshot(1, structured_communication="+++001/2345/60326+++")) is None
    garage = snapshot_payload(1)["garage"]
    assert payment_qr(snapshot(1, garage=garage | {"iban": "BE68539007547035"})) is None
    assert payment_qr(snapshot(1, garage=garage)) is not None
