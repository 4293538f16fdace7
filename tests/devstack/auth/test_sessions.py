"""Sessions: passwords, refresh tokens, the hook and the end of it all."""

from collections.abc import Callable

import httpx
import pytest
from supabase_auth import SyncGoTrueClient
from supabase_auth.errors import AuthApiError

from devstack import keys
from devstack.stack import Stack
from tests.devstack.auth.steps import PASSWORD, Service, sign_in

NEW_ERRORS = {"X-Supabase-Api-Version": "2024-01-01"}


def refresh(service: Service, token: str) -> httpx.Response:
    return service.post("/token?grant_type=refresh_token", {"refresh_token": token})


def test_a_password_opens_a_session_whose_token_the_hook_has_completed(
    service: Service, new_user: Callable[..., str]
) -> None:
    email = new_user()
    client = service.client()
    answer = client.sign_in_with_password({"email": email.upper(), "password": PASSWORD})
    assert answer.session and answer.user and answer.user.email == email
    claims = service.keys.verify(answer.session.access_token)
    assert claims["garage_id"] == "noord"
    assert claims["iss"] == service.url
    assert (claims["aud"], claims["role"], claims["aal"]) == ("authenticated", "authenticated", "aal1")
    assert claims["amr"][0]["method"] == "password"
    assert claims["exp"] - claims["iat"] == 3600
    found = client.get_user()
    assert found and found.user.id == claims["sub"]
    assert [identity.provider for identity in found.user.identities or []] == ["email"]


@pytest.mark.parametrize(
    ("email", "password"), [("nobody@garage-noord.test", PASSWORD), (None, "wrong"), (None, "x" * 100)]
)
def test_unknown_logins_and_wrong_passwords_are_refused_alike(
    service: Service, new_user: Callable[..., str], email: str | None, password: str
) -> None:
    body = {"email": email or new_user(), "password": password}
    answer = service.post("/token?grant_type=password", body)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 400,
        "error_code": "invalid_credentials",
        "msg": "Invalid login credentials",
    }


def test_errors_have_the_shape_of_the_api_version_asked_for(service: Service) -> None:
    answer = service.post("/token?grant_type=password", {"email": "a@b.test"}, headers=NEW_ERRORS)
    assert answer.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert answer.headers["x-supabase-api-version"] == "2024-01-01"
    assert answer.headers["x-sb-error-code"] == "invalid_credentials"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/token?grant_type=magic", {}, 400, "invalid_credentials"),
        ("/token?grant_type=password", {"password": "x"}, 400, "validation_failed"),
        ("/token?grant_type=password", ["x"], 400, "bad_json"),
        ("/token?grant_type=refresh_token", {"refresh_token": "short"}, 400, "validation_failed"),
        ("/token?grant_type=refresh_token", {"refresh_token": "a" * 12}, 400, "refresh_token_not_found"),
        ("/logout", {}, 401, "no_authorization"),
        ("/admin/users", {}, 401, "no_authorization"),
    ],
)
def test_bad_requests_are_refused_with_their_code(
    service: Service, path: str, body: object, status: int, code: str
) -> None:
    answer = service.post(path, body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_an_unconfirmed_address_cannot_sign_in(service: Service) -> None:
    admin = service.client(service.keys.service_role_key).admin
    admin.create_user({"email": "late@garage-noord.test", "password": PASSWORD})
    with pytest.raises(AuthApiError) as error:
        service.client().sign_in_with_password({"email": "late@garage-noord.test", "password": PASSWORD})
    assert error.value.code == "email_not_confirmed"


@pytest.mark.parametrize(
    ("wish", "status", "message"),
    [
        ("refuse", 403, "Not today"),
        ("nothing", 500, "output claims field is missing"),
        ("broken", 500, "output claims do not conform to the expected schema"),
    ],
)
def test_the_hook_may_refuse_and_must_answer_whole_claims(
    service: Service, new_user: Callable[..., str], wish: str, status: int, message: str
) -> None:
    body = {"email": new_user(wish=wish), "password": PASSWORD}
    answer = service.post("/token?grant_type=password", body)
    assert answer.status_code == status
    assert answer.json()["msg"].startswith(message)


def test_a_refresh_token_is_exchanged_once_and_keeps_the_session(
    service: Service, new_user: Callable[..., str]
) -> None:
    first = sign_in(service, new_user())
    second = refresh(service, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    before, after = (service.keys.verify(answer["access_token"]) for answer in (first, second))
    assert before["session_id"] == after["session_id"]
    assert before["amr"] == after["amr"]


def test_the_last_used_token_gets_its_successor_again_however_late(
    service: Service, new_user: Callable[..., str]
) -> None:
    first = sign_in(service, new_user())
    second = refresh(service, first["refresh_token"]).json()
    age_tokens(service)
    again = refresh(service, first["refresh_token"]).json()
    assert again["refresh_token"] == second["refresh_token"]


def test_an_older_token_that_comes_back_late_ends_the_family(
    service: Service, new_user: Callable[..., str]
) -> None:
    first = sign_in(service, new_user())
    second = refresh(service, first["refresh_token"]).json()
    third = refresh(service, second["refresh_token"]).json()
    soon = refresh(service, first["refresh_token"])
    assert soon.status_code == 200
    age_tokens(service)
    late = refresh(service, second["refresh_token"])
    assert (late.status_code, late.json()["error_code"]) == (400, "refresh_token_already_used")
    for token in (third["refresh_token"], soon.json()["refresh_token"]):
        assert refresh(service, token).json()["error_code"] == "refresh_token_already_used"


def age_tokens(service: Service) -> None:
    """Move every refresh token out of the reuse interval."""
    with service.database.connect() as conn:
        conn.execute("update auth.refresh_tokens set updated_at = updated_at - interval '1 minute'")


def test_a_token_of_an_ended_session_no_longer_counts(service: Service, new_user: Callable[..., str]) -> None:
    email = new_user()
    here, there = service.client(), sign_in(service, email)
    here.sign_in_with_password({"email": email, "password": PASSWORD})
    here.sign_out({"scope": "others"})
    assert here.get_user() is not None
    refused = httpx.get(f"{service.url}/user", headers={"Authorization": f"Bearer {there['access_token']}"})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "session_not_found")


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [("garbage", 403, "bad_jwt"), ("anon", 403, "bad_jwt"), (None, 401, "no_authorization")],
)
def test_a_user_needs_a_token_of_a_user(service: Service, token: str | None, status: int, code: str) -> None:
    value = service.keys.anon_key if token == "anon" else token
    headers = {"Authorization": f"Bearer {value}"} if value else {}
    answer = httpx.get(f"{service.url}/user", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_the_seeded_owner_signs_in_and_the_token_names_the_garage(stack: Stack) -> None:
    environment = stack.environment()
    login = {"email": "olga@garage-noord.test", "password": "autexor-demo"}
    with httpx.Client() as http:
        client = SyncGoTrueClient(
            url=f"{stack.api_url}/auth/v1", headers={"apikey": environment["ANON_KEY"]}, http_client=http
        )
        answer = client.sign_in_with_password(login)  # type: ignore[arg-type]
        client.close()
    assert answer.session
    claims = keys.load_or_create(stack.settings.paths.keys).verify(answer.session.access_token)
    assert claims["garage_id"] == "11111111-0000-4000-8000-000000000001"
