"""Signing up: with and without confirmation, anonymously, by invitation, or not at all."""

from typing import Any

import pytest
from supabase_auth.errors import AuthApiError

from devstack.config import CONFIG_FILE
from tests.devstack.auth.conftest import Start
from tests.devstack.auth.steps import PASSWORD, Service, address, fragment, refusal, sign_in


def test_whoever_signs_up_confirms_the_address_by_the_link_in_the_mail(service: Service) -> None:
    email = address()
    answer = service.client().sign_up(
        {"email": email.upper(), "password": PASSWORD, "options": {"data": {"name": "Rita"}}}
    )
    assert answer.session is None and answer.user and answer.user.email == email
    assert answer.user.app_metadata == {"provider": "email", "providers": ["email"]}
    known = {"sub": answer.user.id, "email": email, "email_verified": False, "phone_verified": False}
    assert answer.user.user_metadata == {"name": "Rita", **known}
    refused = service.post("/token?grant_type=password", {"email": email, "password": PASSWORD})
    assert refusal(refused) == (400, "email_not_confirmed")
    mail = service.mail(email)
    assert mail["type"] == "signup"
    followed = service.http.get(mail["link"])
    assert followed.status_code == 303
    assert followed.headers["location"].startswith("https://dms.test#access_token=")
    session = fragment(followed.headers["location"])
    assert (session["type"], session["token_type"], session["sb"]) == ("signup", "bearer", "")
    user = service.send("GET", "/user", token=session["access_token"]).json()
    assert user["email_confirmed_at"] and user["user_metadata"]["email_verified"] is True
    assert user["identities"][0]["identity_data"]["email_verified"] is True
    assert sign_in(service, email)["user"]["id"] == answer.user.id


def test_signing_up_again_tells_nobody_that_the_address_is_taken(service: Service, new_user: Any) -> None:
    email = new_user()
    answer = service.post("/signup", {"email": email, "password": "another password"})
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["id"] != str(service.user(email)["id"])
    assert (shown["role"], shown["identities"], shown["email"]) == ("", [], email)
    assert service.mails(email) == 0
    sign_in(service, email)


def test_an_unconfirmed_sign_up_may_be_repeated_but_keeps_its_password(service: Service) -> None:
    email = address()
    first = service.post("/signup", {"email": email, "password": PASSWORD}).json()
    second = service.post("/signup", {"email": email, "password": "another password"}).json()
    assert first["id"] == second["id"]
    assert service.mails(email) == 2
    mail = service.mail(email)
    confirmed = service.post("/verify", {"type": "signup", "email": email, "token": mail["otp"]})
    assert confirmed.status_code == 200
    sign_in(service, email)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"email": "a@b.test"}, 400, "validation_failed", "Signup requires a valid password"),
        ({"email": "a", "password": PASSWORD}, 400, "validation_failed", "Unable to validate email address"),
        ({"email": "a@b.test", "password": "x" * 73}, 400, "validation_failed", "Password cannot be longer"),
        (
            {"email": "a@b.test", "phone": "3", "password": PASSWORD},
            400,
            "validation_failed",
            "Only an email",
        ),
        ({"phone": "32470", "password": PASSWORD}, 400, "phone_provider_disabled", "Phone signups"),
        ({"email": 5, "password": PASSWORD}, 400, "bad_json", "Could not parse request body as JSON"),
        (
            {"email": "a@b.test", "password": PASSWORD, "code_challenge": "x"},
            400,
            "validation_failed",
            "PKCE flow requires code_challenge_method and code_challenge",
        ),
    ],
)
def test_a_sign_up_that_cannot_be_is_refused(
    service: Service, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    answer = service.post("/signup", body)
    assert refusal(answer) == (status, code)
    assert answer.json()["msg"].startswith(message)


@pytest.mark.parametrize("version", [None, "2024-01-01"])
def test_a_weak_password_is_refused_with_the_reasons(service: Service, version: str | None) -> None:
    headers = {"X-Supabase-Api-Version": version} if version else {}
    answer = service.post("/signup", {"email": address(), "password": "short"}, headers=headers)
    message = "Password should be at least 6 characters."
    shape = (
        {"code": "weak_password", "message": message}
        if version
        else {"code": 422, "error_code": "weak_password", "msg": message}
    )
    assert answer.status_code == 422
    assert answer.json() == {**shape, "weak_password": {"reasons": ["length"]}}


def test_an_anonymous_user_becomes_a_permanent_one(service: Service) -> None:
    client = service.client()
    answer = client.sign_in_anonymously({"options": {"data": {"theme": "dark"}}})
    assert answer.user and answer.user.is_anonymous and answer.session
    assert (answer.user.email, answer.user.app_metadata, answer.user.identities) == ("", {}, [])
    claims = service.keys.verify(answer.session.access_token)
    assert (claims["is_anonymous"], claims["amr"][0]["method"]) == (True, "anonymous")
    with pytest.raises(AuthApiError) as early:
        client.update_user({"password": PASSWORD})
    assert early.value.code == "validation_failed"
    email = address()
    client.update_user({"email": email})
    mail = service.mail(email)
    client.verify_otp({"type": "email_change", "email": email, "token": mail["otp"]})
    found = client.get_user()
    assert found and (found.user.email, found.user.is_anonymous) == (email, False)
    assert [one.provider for one in found.user.identities or []] == ["email"]


def test_an_invitation_lets_someone_in_without_a_password(service: Service) -> None:
    email = address()
    user = (
        service.admin()
        .invite_user_by_email(
            email, {"data": {"role": "mechanic"}, "redirect_to": "https://n.garage.test/welcome"}
        )
        .user
    )
    assert user.invited_at and user.user_metadata == {"role": "mechanic"}
    mail = service.mail(email)
    followed = service.http.get(mail["link"]).headers["location"]
    assert followed.startswith("https://n.garage.test/welcome#")
    assert fragment(followed)["type"] == "invite"
    with pytest.raises(AuthApiError) as again:
        service.admin().invite_user_by_email(email)
    assert (again.value.status, again.value.code) == (422, "email_exists")


def test_in_a_new_project_a_sign_up_is_a_sign_in(start: Start) -> None:
    fresh = start(None)
    email = address()
    answer = fresh.client().sign_up({"email": email, "password": PASSWORD})
    assert answer.session and answer.user and answer.user.email_confirmed_at
    assert fresh.mails(email) == 0
    again = fresh.post("/signup", {"email": email, "password": PASSWORD})
    assert refusal(again) == (422, "user_already_exists")
    assert refusal(fresh.post("/signup", {})) == (422, "anonymous_provider_disabled")
    fresh.client().sign_in_with_otp({"email": address()})


def test_with_the_settings_of_the_product_nobody_signs_up(start: Start) -> None:
    closed = start(CONFIG_FILE.read_text())
    body = {"email": address(), "password": PASSWORD}
    assert refusal(closed.post("/signup", body)) == (422, "signup_disabled")
    assert refusal(closed.post("/otp", {"email": address()})) == (422, "signup_disabled")
    assert refusal(closed.post("/signup", {})) == (422, "anonymous_provider_disabled")
    settings = closed.send("GET", "/settings").json()
    assert (settings["disable_signup"], settings["mailer_autoconfirm"]) == (True, False)
    made = closed.admin().create_user({**body, "email_confirm": True}).user
    assert sign_in(closed, made.email)["user"]["id"] == made.id


def test_a_trigger_that_objects_is_not_told_about(start: Start) -> None:
    strict = start(None)
    with strict.database.connect("supabase_admin") as conn:
        conn.execute(
            """
            create table public.profiles (name text not null);
            create function public.add_profile() returns trigger
            language plpgsql security definer set search_path = ''
            as $$
            begin
                insert into public.profiles values (new.raw_user_meta_data ->> 'name');
                return new;
            end
            $$;
            create trigger add_profile after insert on auth.users
                for each row execute function public.add_profile();
            """
        )
    answer = strict.post("/signup", {"email": address(), "password": PASSWORD})
    assert (answer.status_code, answer.json()["msg"]) == (500, "Database error saving new user")
    named = {"email": address(), "password": PASSWORD, "data": {"name": "Rita"}}
    assert strict.post("/signup", named).status_code == 200
    by_admin = strict.post("/admin/users", {"email": address()}, strict.keys.service_role_key)
    assert by_admin.json()["msg"] == "Database error creating new user"
