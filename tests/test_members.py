"""From an invitation to a colleague and out again, over HTTP as the DMS frontend does it."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from devstack.stack import Stack

NOORD = "11111111-0000-4000-8000-000000000001"
RITA_MEMBERSHIP = "2a222222-0000-4000-8000-000000000002"
OLGA = {"email": "olga@garage-noord.test", "password": "autexor-demo"}
NINA = {"email": "nina@example.test", "password": "a long enough password"}


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    settings = stack.environment()
    headers = {"apikey": settings["ANON_KEY"]}
    with httpx.Client(base_url=settings["API_URL"], headers=headers, timeout=30, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def nina(stack: Stack, http: httpx.Client) -> dict[str, Any]:
    """Somebody with a confirmed account and no garage; what signing in gave."""
    key = stack.environment()["SERVICE_ROLE_KEY"]
    headers = {"apikey": key, "authorization": f"Bearer {key}"}
    made = http.post("/auth/v1/admin/users", json={**NINA, "email_confirm": True}, headers=headers)
    assert made.status_code == 200, made.text
    return sign_in(http, NINA)


def sign_in(http: httpx.Client, who: dict[str, str]) -> dict[str, Any]:
    answer = http.post("/auth/v1/token?grant_type=password", json=who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def call(http: httpx.Client, session: dict[str, Any], name: str, **arguments: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {session['access_token']}"}
    return http.post(f"/rest/v1/rpc/{name}", json=arguments, headers=headers)


def mailed_token(stack: Stack) -> str:
    """The token that Nina's mail is to say."""
    with psycopg.connect(stack.environment()["DB_URL"]) as connection:
        row = connection.execute(
            "select private.invitation_mail(c) #>> '{context,token}' from public.communications c"
            " where c.recipient = %s order by c.created_at desc limit 1",
            (NINA["email"],),
        ).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.req("D3")
def test_who_is_invited_joins_works_and_is_put_out(
    stack: Stack, http: httpx.Client, nina: dict[str, Any]
) -> None:
    olga = sign_in(http, OLGA)
    assert call(http, nina, "my_garages").json() == []
    invited = call(http, olga, "invite_member", email=NINA["email"], role="receptionist")
    assert invited.status_code == 200, invited.text
    wrong = call(http, nina, "accept_invitation", token="0" * 64, full_name="Nina")
    assert (wrong.status_code, wrong.json()["details"]) == (404, "invitation_invalid")
    joined = call(http, nina, "accept_invitation", token=mailed_token(stack), full_name="Nina Claes")
    assert joined.json() == NOORD
    at_work = http.post(
        "/auth/v1/token?grant_type=refresh_token", json={"refresh_token": nina["refresh_token"]}
    ).json()
    headers = {"authorization": f"Bearer {at_work['access_token']}"}
    assert len(http.get("/rest/v1/customers", headers=headers).json()) >= 2
    (garage,) = call(http, at_work, "my_garages").json()
    assert (garage["id"], garage["role"], garage["is_active"]) == (NOORD, "receptionist", True)
    escalation = call(http, at_work, "change_role", membership_id=RITA_MEMBERSHIP, role="owner")
    assert (escalation.status_code, escalation.json()["details"]) == (403, "permission_missing")
    members = http.get(f"/rest/v1/memberships?email=eq.{NINA['email']}", headers=headers).json()
    put_out = call(http, olga, "deactivate_member", membership_id=members[0]["id"])
    assert put_out.json()["deactivated_at"]
    assert http.get("/rest/v1/customers", headers=headers).json() == []
    last = call(http, olga, "leave_garage")
    assert (last.status_code, last.json()["details"]) == (409, "last_owner")
