"""What the service role does with users, and what anyone may ask."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from tests.devstack.auth.conftest import Start
from tests.devstack.auth.steps import PASSWORD, Service, address, fragment, refusal, sign_in


def test_an_administrator_makes_lists_finds_and_removes_users(service: Service) -> None:
    admin = service.client(service.keys.service_role_key).admin
    wanted = {"id": str(uuid4()), "email": "New@garage-noord.test", "app_metadata": {"team": "x"}}
    created = admin.create_user(wanted).user  # type: ignore[arg-type]
    assert (created.id, created.email) == (wanted["id"], "new@garage-noord.test")
    assert created.app_metadata == {"provider": "email", "providers": ["email"], "team": "x"}
    assert created.id in [user.id for user in admin.list_users(page=1, per_page=50)]
    assert admin.get_user_by_id(created.id).user.email == created.email
    with pytest.raises(AuthApiError) as taken:
        admin.create_user({"email": "new@garage-noord.test"})
    assert (taken.value.status, taken.value.code) == (422, "email_exists")
    admin.delete_user(created.id)
    with pytest.raises(AuthApiError) as gone:
        admin.get_user_by_id(created.id)
    assert (gone.value.status, gone.value.code) == (404, "user_not_found")


def test_staff_may_not_administer_users(service: Service, new_user: Callable[..., str]) -> None:
    token = sign_in(service, new_user())["access_token"]
    with pytest.raises(AuthApiError) as error:
        service.client(token).admin.list_users()
    assert (error.value.status, error.value.code) == (403, "not_admin")


def test_anyone_may_ask_for_health_settings_and_public_keys(service: Service) -> None:
    assert httpx.get(f"{service.url}/health").json()["name"] == "GoTrue"
    settings = httpx.get(f"{service.url}/settings").json()
    assert (settings["disable_signup"], settings["external"]["email"]) == (False, True)
    assert settings["external"]["anonymous_users"] is True and settings["external"]["github"] is False
    published = httpx.get(f"{service.url}/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=600"
    (key,) = published.json()["keys"]
    assert (key["kty"], key["alg"], key["crv"]) == ("EC", "ES256", "P-256")
    assert "d" not in key


def test_users_are_listed_by_page_order_and_filter(start: Start) -> None:
    service = start(None)
    admin, token = service.admin(), service.keys.service_role_key
    for name in ("ann", "bob", "cas"):
        admin.create_user(
            {"email": f"{name}@x.test", "user_metadata": {"full_name": f"{name} Smith".title()}}
        )

    def emails(query: str) -> list[str]:
        answer = service.send("GET", f"/admin/users?{query}", token=token)
        return [user["email"][:3] for user in answer.json()["users"]]

    assert emails("") == ["cas", "bob", "ann"]
    assert emails("sort=created_at%20asc&per_page=2") == ["ann", "bob"]
    assert emails("per_page=2&page=2") == ["ann"]
    assert emails("filter=bob@") == ["bob"]
    assert emails("filter=cas smith") == ["cas"]
    first = service.send("GET", "/admin/users?per_page=2", token=token)
    assert (first.headers["x-total-count"], first.json()["aud"]) == ("3", "authenticated")
    assert first.headers["link"] == (
        '</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=2&per_page=2>; rel="last"'
    )
    assert refusal(service.send("GET", "/admin/users?sort=email", token=token)) == (400, "validation_failed")
    assert refusal(service.send("GET", "/admin/users?page=x", token=token)) == (400, "validation_failed")


def test_a_change_by_an_administrator_counts_at_once(service: Service, new_user: Callable[..., str]) -> None:
    email, admin = new_user(), service.admin()
    session, new = sign_in(service, email), address()
    user_id = session["user"]["id"]
    changed = admin.update_user_by_id(
        user_id,
        {"email": new, "password": "a new and better one", "email_confirm": True}
        | {"app_metadata": {"team": "x"}, "user_metadata": {"name": "New"}},
    ).user
    assert (changed.email, changed.new_email) == (new, None)
    assert changed.app_metadata == {"provider": "email", "providers": ["email"], "team": "x"}
    assert refusal(service.send("GET", "/user", token=session["access_token"])) == (403, "session_not_found")
    sign_in(service, new, "a new and better one")
    with pytest.raises(AuthWeakPasswordError):
        admin.update_user_by_id(user_id, {"password": "short"})
    with pytest.raises(AuthApiError) as taken:
        admin.update_user_by_id(user_id, {"email": new_user()})
    assert taken.value.code == "email_exists"


def test_a_banned_user_is_kept_out_until_the_ban_is_lifted(
    service: Service, new_user: Callable[..., str]
) -> None:
    email, admin = new_user(), service.admin()
    session = sign_in(service, email)
    admin.update_user_by_id(session["user"]["id"], {"ban_duration": "24h"})
    body = {"email": email, "password": PASSWORD}
    assert refusal(service.post("/token?grant_type=password", body)) == (400, "user_banned")
    assert refusal(service.send("GET", "/user", token=session["access_token"])) == (403, "user_banned")
    again = service.post("/token?grant_type=refresh_token", {"refresh_token": session["refresh_token"]})
    assert refusal(again) == (400, "user_banned")
    with pytest.raises(AuthApiError) as unclear:
        admin.update_user_by_id(session["user"]["id"], {"ban_duration": "long"})
    assert unclear.value.code == "validation_failed"
    admin.update_user_by_id(session["user"]["id"], {"ban_duration": "none"})
    sign_in(service, email)


def test_a_softly_deleted_user_leaves_a_row_without_a_person(
    service: Service, new_user: Callable[..., str]
) -> None:
    email, admin = new_user(name="Rita"), service.admin()
    session = sign_in(service, email)
    admin.delete_user(session["user"]["id"], should_soft_delete=True)
    body = {"email": email, "password": PASSWORD}
    assert refusal(service.post("/token?grant_type=password", body)) == (400, "invalid_credentials")
    with service.database.connect() as conn:
        row = conn.execute("select * from auth.users where id = %s", (session["user"]["id"],)).fetchone()
    assert row and row["deleted_at"] and row["email"] != email and row["raw_user_meta_data"] == {}
    admin.create_user({"email": email})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "validation_failed"),
        ({"email": "a@b.test", "id": "x"}, 400, "validation_failed"),
        ({"email": "a@b.test", "password": "x" * 73}, 400, "validation_failed"),
        ({"email": "a@b.test", "password": "x", "password_hash": "y"}, 400, "validation_failed"),
    ],
)
def test_a_user_that_cannot_be_is_refused(
    service: Service, body: dict[str, str], status: int, code: str
) -> None:
    assert refusal(service.post("/admin/users", body, service.keys.service_role_key)) == (status, code)


def test_a_generated_link_works_like_that_of_the_mail(service: Service, new_user: Callable[..., str]) -> None:
    email, admin = new_user(), service.admin()
    made = admin.generate_link(
        {"type": "magiclink", "email": email, "options": {"redirect_to": "https://n.garage.test/in"}}
    )
    assert made.properties.redirect_to == "https://n.garage.test/in"
    assert made.properties.hashed_token in made.properties.action_link
    assert service.mails(email) == 0
    location = service.http.get(made.properties.action_link).headers["location"]
    assert location.startswith("https://n.garage.test/in#")
    assert service.keys.verify(fragment(location)["access_token"])["email"] == email


def test_a_link_may_make_its_user(service: Service) -> None:
    for kind in ("signup", "invite", "magiclink"):
        email = address()
        body = {"type": kind, "email": email, "password": PASSWORD, "data": {"name": kind}}
        made = service.post("/admin/generate_link", body, service.keys.service_role_key).json()
        assert made["verification_type"] == ("signup" if kind == "magiclink" else kind)
        digits = {"type": made["verification_type"], "email": email, "token": made["email_otp"]}
        assert service.post("/verify", digits).json()["user"]["user_metadata"]["name"] == kind


def test_links_change_an_address_in_two_steps(service: Service, new_user: Callable[..., str]) -> None:
    email, new = new_user(), address()
    token = service.keys.service_role_key
    made = [
        service.post("/admin/generate_link", {"type": kind, "email": email, "new_email": new}, token).json()
        for kind in ("email_change_current", "email_change_new")
    ]
    for link in made:
        service.http.get(link["action_link"])
    assert sign_in(service, new)["user"]["email"] == new


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("recovery", 404, "user_not_found"),
        ("nonsense", 400, "validation_failed"),
        ("signup", 400, "validation_failed"),
    ],
)
def test_a_link_that_cannot_be_is_refused(service: Service, kind: str, status: int, code: str) -> None:
    body = {"type": kind, "email": address()}
    answer = service.post("/admin/generate_link", body, service.keys.service_role_key)
    assert refusal(answer) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/authorize?provider=github", 400, "validation_failed"),
        ("POST", "/sso", 404, "saml_provider_disabled"),
        ("GET", "/user/identities/authorize", 404, "manual_linking_disabled"),
        ("POST", "/factors", 401, "no_authorization"),
        ("POST", "/token?grant_type=web3", 422, "web3_provider_disabled"),
        ("POST", "/token?grant_type=id_token", 400, "provider_disabled"),
    ],
)
def test_what_is_switched_off_says_so(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    body = {"provider": "google"} if method == "POST" else None
    assert refusal(service.send(method, path, body)) == (status, code)


def test_a_second_factor_is_switched_off(service: Service, new_user: Callable[..., str]) -> None:
    token = sign_in(service, new_user())["access_token"]
    answer = service.post("/factors", {"factor_type": "totp"}, token)
    assert refusal(answer) == (422, "mfa_totp_enroll_not_enabled")
