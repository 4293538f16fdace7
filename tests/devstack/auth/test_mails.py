"""Links and digits by mail: recovery, magic links, another mail, and what /verify makes of them."""

from typing import Any

import pytest
from supabase_auth.errors import AuthApiError

from tests.devstack.auth.conftest import CONFIRMING, Start
from tests.devstack.auth.steps import PASSWORD, Service, address, fragment, query, refusal, sign_in


def follow(service: Service, link: str) -> str:
    """Where the link leads."""
    answer = service.http.get(link)
    assert answer.status_code == 303
    location: str = answer.headers["location"]
    return location


def test_a_forgotten_password_is_replaced_through_the_mail(service: Service, new_user: Any) -> None:
    email = new_user()
    old = sign_in(service, email)
    client = service.client()
    client.reset_password_for_email(email, {"redirect_to": "autexor://login"})
    mail = service.mail(email)
    assert mail["type"] == "recovery"
    session = client.verify_otp({"type": "recovery", "email": email, "token": mail["otp"]})
    assert session.session
    assert service.keys.verify(session.session.access_token)["amr"][0]["method"] == "otp"
    client.update_user({"password": "a new and better one"})
    sign_in(service, email, "a new and better one")
    refused = service.send("GET", "/user", token=old["access_token"])
    assert refusal(refused) == (403, "session_not_found")
    assert client.get_user() is not None


def test_nobody_learns_from_a_recovery_who_is_a_user(service: Service, new_user: Any) -> None:
    known, unknown = new_user(), address()
    answers = [service.post("/recover", {"email": email}) for email in (known, unknown)]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {})] * 2
    assert (service.mails(known), service.mails(unknown)) == (1, 0)


def test_a_magic_link_signs_in_and_counts_once(service: Service, new_user: Any) -> None:
    email = new_user()
    service.client().sign_in_with_otp({"email": email, "options": {"should_create_user": False}})
    link = service.mail(email)["link"]
    assert fragment(follow(service, link))["type"] == "magiclink"
    again = follow(service, link)
    assert fragment(again) == {
        "error": "access_denied",
        "error_code": "otp_expired",
        "error_description": "Email link is invalid or has expired",
        "sb": "",
    }


def test_the_digits_of_a_magic_link_count_as_email(service: Service, new_user: Any) -> None:
    email = new_user()
    service.post("/magiclink", {"email": email})
    body = {"type": "email", "email": email, "token": service.mail(email)["otp"]}
    assert service.post("/verify", body).json()["user"]["email"] == email
    assert refusal(service.post("/verify", body)) == (403, "otp_expired")


def test_asking_for_digits_signs_up_where_that_is_open(service: Service) -> None:
    email = address()
    refused = service.post("/otp", {"email": email, "create_user": False})
    assert refusal(refused) == (422, "otp_disabled")
    assert service.post("/otp", {"email": email, "data": {"name": "New"}}).json() == {}
    mail = service.mail(email)
    assert mail["type"] == "signup"
    body = {"type": "email", "email": email, "token": mail["otp"]}
    assert service.post("/verify", body).json()["user"]["user_metadata"]["name"] == "New"


def test_a_token_hash_is_as_good_as_its_link(service: Service, new_user: Any) -> None:
    email = new_user()
    service.post("/recover", {"email": email})
    token_hash = query(service.mail(email)["link"])["token"]
    session = service.client().verify_otp({"type": "recovery", "token_hash": token_hash})
    assert session.user and session.user.email == email


def test_an_expired_token_is_worthless(service: Service, new_user: Any) -> None:
    email = new_user()
    service.post("/recover", {"email": email})
    mail = service.mail(email)
    with service.database.connect() as conn:
        old = "update auth.users set recovery_sent_at = now() - interval '2 hours' where email = %s"
        conn.execute(old, (email,))
    body = {"type": "recovery", "email": email, "token": mail["otp"]}
    assert refusal(service.post("/verify", body)) == (403, "otp_expired")
    assert fragment(follow(service, mail["link"]))["error_code"] == "otp_expired"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"token": "123456"}, 400, "Verify requires a verification type"),
        ({"type": "signup"}, 400, "Verify requires either a token or a token hash"),
        ({"type": "signup", "token": "1", "token_hash": "x"}, 400, "Verify requires either a token"),
        ({"type": "signup", "token_hash": "x", "email": "a@b.test"}, 400, "Only the token_hash and type"),
        ({"type": "signup", "token": "1"}, 400, "Only an email address or phone number"),
        ({"type": "nonsense", "token_hash": "x"}, 400, "Invalid email verification type"),
        ({"type": "signup", "token_hash": "x"}, 403, "Email link is invalid or has expired"),
        ({"type": "signup", "token": "1", "email": "a@b.test"}, 403, "Token has expired or is invalid"),
    ],
)
def test_what_proves_nothing_is_refused(
    service: Service, body: dict[str, str], status: int, message: str
) -> None:
    answer = service.post("/verify", body)
    assert answer.status_code == status
    assert answer.json()["msg"].startswith(message)


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("https://dms.test/invoices?x=1", True),
        ("https://noord.garage.test/deep/er", True),
        ("autexor://login", True),
        ("https://evil.test/", False),
        ("http://dms.test/", False),
        ("https://dms.test:8443/", False),
        ("https://a.b.garage.test/x", False),
        ("https://dms.test.evil.test/", False),
    ],
)
def test_links_lead_back_only_to_allowed_addresses(
    service: Service, new_user: Any, wanted: str, allowed: bool
) -> None:
    email = new_user()
    service.post("/recover", {"email": email}, params={"redirect_to": wanted})
    back = follow(service, service.mail(email)["link"]).split("#")[0]
    assert back == (wanted if allowed else "https://dms.test")


def test_a_second_mail_has_to_wait(start: Start) -> None:
    patient = start(CONFIRMING.replace('max_frequency = "0s"', ""))
    email = address()
    body = {"email": email, "password": PASSWORD}
    assert patient.post("/signup", body).status_code == 200
    for answer in (
        patient.post("/signup", body),
        patient.post("/resend", {"type": "signup", "email": email}),
        patient.post("/otp", {"email": email}),
    ):
        assert refusal(answer) == (429, "over_email_send_rate_limit")
        assert answer.json()["msg"].startswith("For security purposes, you can only request this after ")
    assert patient.mails(email) == 1


def test_a_confirmation_is_sent_again_while_it_is_due(service: Service, new_user: Any) -> None:
    email, confirmed = address(), new_user()
    service.post("/signup", {"email": email, "password": PASSWORD})
    service.client().resend({"type": "signup", "email": email})
    assert (service.mails(email), service.mail(email)["type"]) == (2, "signup")
    for other in (confirmed, address()):
        assert service.post("/resend", {"type": "signup", "email": other}).json() == {}
        assert service.mails(other) == 0


@pytest.mark.parametrize(
    "body",
    [{"email": "a@b.test"}, {"type": "signup"}, {"type": "sms", "email": "a@b.test"}, {"type": "recovery"}],
)
def test_another_mail_needs_a_kind_and_an_address(service: Service, body: dict[str, str]) -> None:
    assert refusal(service.post("/resend", body)) == (400, "validation_failed")


def test_a_pkce_client_exchanges_the_code_of_its_link(service: Service, new_user: Any) -> None:
    email = new_user()
    client = service.client(flow_type="pkce")
    client.sign_in_with_otp({"email": email})
    link = service.mail(email)["link"]
    assert query(link)["token"].startswith("pkce_")
    code = query(follow(service, link))["code"]
    session = client.exchange_code_for_session({"auth_code": code})  # type: ignore[typeddict-item]
    assert session.session
    assert service.keys.verify(session.session.access_token)["amr"][0]["method"] == "magiclink"
    verifier = {"auth_code": code, "code_verifier": "v" * 64}
    assert refusal(service.post("/token?grant_type=pkce", verifier)) == (404, "flow_state_not_found")


def test_a_stolen_code_is_worthless_without_the_verifier(service: Service) -> None:
    email = address()
    service.client(flow_type="pkce").sign_up({"email": email, "password": PASSWORD})
    code = query(follow(service, service.mail(email)["link"]))["code"]
    stolen = service.post("/token?grant_type=pkce", {"auth_code": code, "code_verifier": "x" * 64})
    assert refusal(stolen) == (400, "bad_code_verifier")
    empty = service.post("/token?grant_type=pkce", {"auth_code": code})
    assert refusal(empty) == (400, "validation_failed")


def test_a_pkce_refusal_is_told_in_the_query_too(service: Service) -> None:
    location = follow(service, f"{service.url}/verify?type=signup&token=pkce_gone")
    assert query(location)["error_code"] == fragment(location)["error_code"] == "otp_expired"


def test_the_official_client_is_told_of_wrong_digits(service: Service, new_user: Any) -> None:
    with pytest.raises(AuthApiError) as error:
        service.client().verify_otp({"type": "magiclink", "email": new_user(), "token": "000000"})
    assert (error.value.status, error.value.code) == (403, "otp_expired")


def test_the_mails_are_seen_in_the_inbox(service: Service, new_user: Any) -> None:
    email = new_user()
    service.post("/recover", {"email": email})
    mail = service.mail(email)
    pages = service.url.removesuffix("/auth/v1") + "/inbox"
    newest = service.http.get(f"{pages}.json").json()[0]
    page = service.http.get(f"{pages}/{newest['id']}").text
    assert newest["subject"] in service.http.get(pages).text
    assert (newest["to"], mail["otp"] in newest["text"]) == ([{"email": email}], True)
    assert mail["otp"] in page and email in page
