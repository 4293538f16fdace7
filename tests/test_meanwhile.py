"""Two people at the counter open the same draft and both save it, over HTTP: nothing is lost unsaid."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from devstack.stack import Stack

NOORD = "11111111-0000-4000-8000-000000000001"
CARLA = "33333333-0000-4000-8000-000000000001"
CARLAS_CAR = "44444444-0000-4000-8000-000000000001"
ROUNDS = 8
TEXT = {
    "invoices": "note",
    "invoice_lines": "description",
    "work_orders": "complaint",
    "work_order_lines": "description",
    "work_order_tasks": "title",
}


def signed_in(stack: Stack, email: str) -> httpx.Client:
    settings = stack.environment()
    http = httpx.Client(
        base_url=settings["API_URL"], headers={"apikey": settings["ANON_KEY"]}, timeout=30, trust_env=False
    )
    who = {"email": email, "password": "autexor-demo"}
    answer = http.post("/auth/v1/token?grant_type=password", json=who)
    assert answer.status_code == 200, answer.text
    http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
    return http


@pytest.fixture(scope="module")
def counter(stack: Stack) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Rita and Olga, each at a screen of her own."""
    rita, olga = (signed_in(stack, f"{name}@garage-noord.test") for name in ("rita", "olga"))
    yield rita, olga
    rita.close()
    olga.close()


def add(http: httpx.Client, table: str, **row: object) -> str:
    answer = http.post(
        f"/rest/v1/{table}", json={"garage_id": NOORD, **row}, headers={"prefer": "return=representation"}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()[0]["id"])


@pytest.fixture(scope="module")
def drafts(counter: tuple[httpx.Client, httpx.Client]) -> dict[str, str]:
    """A fresh row of each kind: table to id."""
    rita, _ = counter
    both = {"customer_id": CARLA, "vehicle_id": CARLAS_CAR}
    priced = {"position": 1, "description": "Werkuren", "quantity": 1, "unit_price": 60, "vat_rate": 21}
    invoice = add(rita, "invoices", **both)
    order = add(rita, "work_orders", **both, complaint="Piept")
    return {
        "invoices": invoice,
        "invoice_lines": add(rita, "invoice_lines", invoice_id=invoice, **priced),
        "work_orders": order,
        "work_order_lines": add(rita, "work_order_lines", work_order_id=order, **priced),
        "work_order_tasks": add(rita, "work_order_tasks", work_order_id=order, position=1, title="Kijken"),
    }


def read(http: httpx.Client, table: str, row_id: str) -> dict[str, Any]:
    (row,) = http.get(f"/rest/v1/{table}", params={"id": f"eq.{row_id}"}).json()
    return dict(row)


def save(http: httpx.Client, table: str, row: dict[str, Any], text: str) -> httpx.Response:
    """Save what was read with another text, as the frontend does: the revision it read plus 1."""
    change = {TEXT[table]: text, "revision": row["revision"] + 1}
    return http.patch(f"/rest/v1/{table}", params={"id": f"eq.{row['id']}"}, json=change)


@pytest.mark.req("D6", "D7")
@pytest.mark.parametrize("table", TEXT)
def test_the_second_to_save_is_told_and_the_first_is_not_overwritten(
    counter: tuple[httpx.Client, httpx.Client], drafts: dict[str, str], table: str
) -> None:
    rita, olga = counter
    hers, olgas = (read(http, table, drafts[table]) for http in counter)
    assert save(rita, table, hers, "Rita was first").status_code == 204
    late = save(olga, table, olgas, "Olga was late")
    assert (late.status_code, late.json()["details"]) == (409, "changed_meanwhile")
    unnumbered = olga.patch(
        f"/rest/v1/{table}", params={"id": f"eq.{drafts[table]}"}, json={TEXT[table]: "Without a revision"}
    )
    assert (unnumbered.status_code, unnumbered.json()["details"]) == (409, "changed_meanwhile")
    again = read(olga, table, drafts[table])
    assert again[TEXT[table]] == "Rita was first"
    assert save(olga, table, again, "Olga read it again").status_code == 204
    assert read(rita, table, drafts[table])[TEXT[table]] == "Olga read it again"


@pytest.mark.req("D6", "D7")
@pytest.mark.parametrize("table", ["invoices", "invoice_lines", "work_orders"])
def test_of_two_who_save_at_the_same_moment_exactly_one_is_told(
    counter: tuple[httpx.Client, httpx.Client], drafts: dict[str, str], table: str
) -> None:
    start = Barrier(2)

    def at_once(http: httpx.Client, row: dict[str, Any], text: str) -> tuple[int, str]:
        start.wait(timeout=30)
        return save(http, table, row, text).status_code, text

    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            row = read(counter[0], table, drafts[table])
            pair = [
                pool.submit(at_once, http, row, f"{who} {number}")
                for http, who in zip(counter, ("Rita", "Olga"), strict=True)
            ]
            answers = sorted(one.result() for one in pair)
            assert [code for code, _ in answers] == [204, 409]
            kept = read(counter[0], table, drafts[table])
            assert (kept[TEXT[table]], kept["revision"]) == (answers[0][1], row["revision"] + 1)
