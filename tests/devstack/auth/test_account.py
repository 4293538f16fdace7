"""What signed-in people do with their own account."""

from collections.abc import Callable
from typing import Any

import pytest
from supabase_auth.errors import AuthApiError

from tests.devstack.auth.conftest import CONFIRMING, Start
from tests.devstack.auth.steps import PASSWORD, Service, address, fragment, refusal, sign_in

NewUser = Callable[..., str]


def test_metadata_are_merged_and_null_takes_a_key_away(service: Service, new_user: NewUser) -> None:
    token = sign_in(service, new_user(name="Rita", desk="1"))["access_token"]
    answer = service.send("PUT", "/user", {"data": {"desk": None, "floor": 2}}, token)
    assert answer.json()["user_metadata"] == {"email_verified": True, "name": "Rita", "floor": 2}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"password": PASSWORD}, 422, "same_password"),
        ({"password": "short"}, 422, "weak_password"),
        ({"app_metadata": {"role": "owner"}}, 403, "not_admin"),
        ({"email": "not an address"}, 400, "validation_failed"),
        ({"phone": "32470"}, 400, "phone_provider_disabled"),
    ],
)
def test_some_changes_are_refused(
    service: Service, new_user: NewUser, body: dict[str, Any], status: int, code: str
) -> None:
    token = sign_in(service, new_user())["access_token"]
    assert refusal(service.send("PUT", "/user", body, token)) == (status, code)


def test_an_address_that_is_taken_is_refused(service: Service, new_user: NewUser) -> None:
    token = sign_in(service, new_user())["access_token"]
    answer = service.send("PUT", "/user", {"email": new_user()}, token)
    assert refusal(answer) == (422, "email_exists")


def test_a_new_address_counts_once_both_have_agreed(service: Service, new_user: NewUser) -> None:
    old, new = new_user(), address()
    client = service.client()
    client.sign_in_with_password({"email": old, "password": PASSWORD})
    changing = client.update_user({"email": new}).user
    assert (changing.email, changing.new_email) == (old, new)
    body = {"type": "email_change", "email": old, "token": service.mail(old)["otp"]}
    first = service.post("/verify", body)
    assert first.json() == {
        "msg": "Confirmation link accepted. Please proceed to confirm link sent to the other email",
        "code": "200",
    }
    followed = service.http.get(service.mail(new)["link"]).headers["location"]
    assert fragment(followed)["type"] == "email_change"
    found = client.get_user()
    assert found and (found.user.email, found.user.new_email) == (new, None)
    assert (found.user.identities or [])[0].identity_data["email"] == new
    sign_in(service, new)


def test_the_first_of_two_links_says_that_the_other_is_due(service: Service, new_user: NewUser) -> None:
    old, new = new_user(), address()
    token = sign_in(service, old)["access_token"]
    service.send("PUT", "/user", {"email": new}, token)
    followed = service.http.get(service.mail(new)["link"]).headers["location"]
    assert fragment(followed)["message"].startswith("Confirmation link accepted.")
    again = service.http.get(service.mail(new)["link"]).headers["location"]
    assert fragment(again)["error_code"] == "otp_expired"
    service.post("/resend", {"type": "email_change", "email": old})
    assert service.mails(old) == 2


def test_a_change_can_need_the_new_address_alone(start: Start) -> None:
    simple = start(CONFIRMING + "double_confirm_changes = false\n")
    old, new = address(), address()
    simple.admin().create_user({"email": old, "password": PASSWORD, "email_confirm": True})
    token = sign_in(simple, old)["access_token"]
    simple.send("PUT", "/user", {"email": new}, token)
    assert simple.mails(old) == 0
    simple.http.get(simple.mail(new)["link"])
    sign_in(simple, new)


def test_an_old_session_proves_itself_before_it_changes_the_password(start: Start) -> None:
    careful = start(CONFIRMING + "secure_password_change = true\n")
    email = address()
    careful.admin().create_user({"email": email, "password": PASSWORD, "email_confirm": True})
    client = careful.client()
    client.sign_in_with_password({"email": email, "password": PASSWORD})
    with careful.database.connect() as conn:
        conn.execute("update auth.sessions set created_at = now() - interval '25 hours'")
    with pytest.raises(AuthApiError) as needed:
        client.update_user({"password": "a new and better one"})
    assert (needed.value.status, needed.value.code) == (400, "reauthentication_needed")
    client.reauthenticate()
    nonce = careful.mail(email)["otp"]
    with pytest.raises(AuthApiError) as wrong:
        client.update_user({"password": "a new and better one", "nonce": "x"})  # type: ignore[typeddict-unknown-key]
    assert (wrong.value.status, wrong.value.code) == (422, "reauthentication_not_valid")
    client.update_user({"password": "a new and better one", "nonce": nonce})  # type: ignore[typeddict-unknown-key]
    sign_in(careful, email, "a new and better one")


@pytest.mark.parametrize(
    ("scope", "here", "there"),
    [("local", 403, 200), ("others", 200, 403), ("global", 403, 403), ("", 403, 403)],
)
def test_signing_out_has_a_scope(
    service: Service, new_user: NewUser, scope: str, here: int, there: int
) -> None:
    email = new_user()
    first, second = (sign_in(service, email)["access_token"] for _ in range(2))
    answer = service.post(f"/logout?scope={scope}" if scope else "/logout", None, first)
    assert (answer.status_code, answer.content) == (204, b"")
    assert service.send("GET", "/user", token=first).status_code == here
    assert service.send("GET", "/user", token=second).status_code == there


def test_signing_out_knows_no_other_scope(service: Service, new_user: NewUser) -> None:
    token = sign_in(service, new_user())["access_token"]
    answer = service.post("/logout?scope=world", None, token)
    assert answer.json()["msg"] == 'Unsupported logout scope "world"'
