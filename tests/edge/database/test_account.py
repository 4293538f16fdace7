"""A customer's access from the invitation to its end, over HTTP and the real SQL."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from devstack.testing import Database
from sql_tests.steps import change, claim, finish
from workers.core.jobs import SendJob, parse_job
from workers.core.messages import render_mail
from workers.core.values import Sites

SITES = Sites("https://portal.autexor.be", "https://app.autexor.be", "https://edge.autexor.be")

Person = dict[str, str]
Member = tuple[Person, dict[str, Any]]
NEW = "zes-geiten-op-een-dak"
DEVICE = ("device_id", "fingerprint")
CONFIRMED = ("password", "pin", *DEVICE)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def part(person: Person, names: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return {name: person[name] for name in names} | more


def is_live(portal: Any, tokens: dict[str, Any]) -> bool:
    rows = portal.sql(
        "select revoked_at is null as live from public.portal_sessions where id = %s", tokens["session"]["id"]
    )
    return bool(rows[0]["live"])


@pytest.mark.req("P1", "P2", "P3")
def test_an_invitation_makes_an_account_once(portal: Any, invite: Callable[[], Any]) -> None:
    newcomer = invite()
    assert portal.login(newcomer.person).status_code == 401, "not before it is activated"
    for changes, refusal in [
        ({"pin": "123456"}, "pin_too_weak"),
        ({"password": "Password123"}, "password_too_common"),
        ({"password": newcomer.person["email"].split("@")[0] + "-xyz"}, "password_too_common"),
    ]:
        assert code(portal.post("activate", newcomer.activation(**changes))) == (422, refusal)
    answer = portal.post("activate", newcomer.activation(label="Nele's phone"))
    assert answer.status_code == 200, answer.text
    assert sorted(answer.json()) == ["access_token", "expires_in", "refresh_token", "session", "token_type"]
    assert portal.refresh(answer.json()["refresh_token"], newcomer.person).status_code == 200
    assert portal.login(newcomer.person, email=newcomer.person["email"].upper()).status_code == 200
    used = portal.post("activate", newcomer.activation())
    unknown = portal.post("activate", newcomer.activation(token="f" * 64))
    assert code(used) == (404, "link_invalid")
    assert (used.text, used.status_code) == (unknown.text, unknown.status_code)


@pytest.mark.req("P2")
@pytest.mark.parametrize("end", ["expires_at = now()", "revoked_at = now()"])
def test_an_invitation_that_ended_gives_nothing(portal: Any, invite: Callable[[], Any], end: str) -> None:
    ended, good = invite(), invite()
    portal.sql(f"update public.portal_invitations set {end} where customer_id = %s", ended.customer_id)
    assert code(portal.post("activate", ended.activation())) == (404, "link_invalid")
    assert portal.post("activate", good.activation()).status_code == 200


@pytest.mark.req("P1", "P2")
def test_a_forgotten_password_is_set_by_a_mailed_link_once(portal: Any, member: Member) -> None:
    person, tokens = member
    ask = part(person, ("garage_id", "email"))
    answers = [
        portal.post("password/forgot", ask | {"email": email})
        for email in ("nobody@example.test", person["email"])
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, "{}")}
    token = portal.mailed("portal_password_reset", person["email"])
    assert code(portal.post("password/reset", {"token": token, "password": "iloveyou1"})) == (
        422,
        "password_too_common",
    )
    assert is_live(portal, tokens)
    assert portal.post("password/reset", {"token": token, "password": NEW}).status_code == 204
    assert not is_live(portal, tokens), "every session has ended"
    assert portal.login(person).status_code == 401
    assert portal.login(person, password=NEW).status_code == 200
    assert code(portal.post("password/reset", {"token": token, "password": NEW})) == (404, "link_invalid")
    assert portal.noticed(person["email"]) == ["password_changed"]


@pytest.mark.req("P1", "P3", "P6")
def test_a_new_phone_is_bound_by_password_and_a_mailed_code(portal: Any, member: Member) -> None:
    person, _ = member
    tablet = person | {"device_id": "a-tablet", "fingerprint": "fp-tablet", "pin": "604182"}
    asked = part(tablet, ("garage_id", "email", "password", *DEVICE))
    wrong = portal.post("devices/request", asked | {"password": NEW})
    right = portal.post("devices/request", asked)
    assert (wrong.status_code, wrong.text) == (right.status_code, right.text) == (202, "{}")
    mailed = portal.mailed("portal_device_code", person["email"])
    confirm = asked | {"code": mailed, "pin": tablet["pin"]}
    assert code(portal.post("devices/confirm", confirm | {"pin": "111111"})) == (422, "pin_too_weak")
    refused = [
        portal.post("devices/confirm", confirm | change)
        for change in (
            {"code": "0" * 12},
            {"password": NEW},
            {"device_id": "thiefs-tablet"},
            {"fingerprint": "fp-thief"},
        )
    ]
    login = portal.login(tablet, device_id="unknown")
    assert {(answer.status_code, answer.text) for answer in refused} == {(401, login.text)}
    portal.sql("delete from private.rate_limits")
    typed = f" {mailed[:4].lower()}-{mailed[4:8]} {mailed[8:]}"
    bound = portal.post("devices/confirm", confirm | {"code": typed.strip(), "label": "Tablet"})
    assert bound.status_code == 200, bound.text
    assert portal.login(tablet).status_code == 200
    assert portal.login(tablet, pin=person["pin"]).status_code == 401, "each device has its own PIN"
    assert portal.login(person).status_code == 200
    assert code(portal.post("devices/confirm", confirm)) == (401, "invalid_login")
    assert portal.noticed(person["email"]) == ["device_added"]


@pytest.mark.req("P2", "P3")
def test_a_change_is_confirmed_ends_other_sessions_and_is_told(portal: Any, member: Member) -> None:
    person, tokens = member
    other = portal.tokens(person)
    bearer = tokens["access_token"]
    body = part(person, CONFIRMED, new_password=NEW)
    for wrong in ({"password": NEW}, {"pin": "481517"}, {"device_id": "another"}):
        assert code(portal.post("password/change", body | wrong, bearer)) == (403, "confirmation_refused")
    assert code(portal.post("password/change", body | {"new_password": "sunshine9"}, bearer)) == (
        422,
        "password_too_common",
    )
    assert is_live(portal, other)
    assert portal.post("password/change", body, bearer).status_code == 204
    assert (is_live(portal, tokens), is_live(portal, other)) == (True, False)
    person = person | {"password": NEW}
    pins = part(person, CONFIRMED, new_pin="319028")
    assert code(portal.post("pin/change", pins | {"new_pin": "222222"}, bearer)) == (422, "pin_too_weak")
    assert portal.post("pin/change", pins, bearer).status_code == 204
    assert portal.login(person).status_code == 401
    assert portal.login(person, pin="319028").status_code == 200
    assert portal.noticed(person["email"]) == ["password_changed", "pin_changed"]
    assert code(portal.post("pin/change", pins)) == (401, "invalid_token")


@pytest.mark.req("P1", "P2")
def test_a_new_address_is_confirmed_there_and_told_to_the_old_one(
    portal: Any, member: Member, carla: Person
) -> None:
    person, tokens = member
    new = "moved-" + person["email"]
    body = part(person, CONFIRMED)
    taken = portal.post("email/change", body | {"new_email": carla["email"]}, tokens["access_token"])
    free = portal.post("email/change", body | {"new_email": f" {new.upper()} "}, tokens["access_token"])
    assert (taken.status_code, taken.text) == (free.status_code, free.text) == (202, "{}")
    odd = portal.post("email/change", body | {"new_email": "no address"}, tokens["access_token"])
    assert code(odd) == (422, "invalid_request")
    token = portal.mailed("portal_email_change", new)
    assert portal.login(person).status_code == 200, "until then the old address holds"
    assert portal.post("email/confirm", {"token": token}).status_code == 204
    assert portal.login(person).status_code == 401
    assert portal.login(person, email=new).status_code == 200
    assert code(portal.post("email/confirm", {"token": token})) == (404, "link_invalid")
    assert portal.noticed(person["email"]) == ["email_change_asked", "email_change_asked", "email_changed"]


@pytest.mark.req("P2")
def test_a_closed_account_opens_again_by_invitation_alone(portal: Any, member: Member) -> None:
    person, tokens = member
    body = part(person, CONFIRMED)
    assert code(portal.post("account/close", body | {"pin": "481517"}, tokens["access_token"])) == (
        403,
        "confirmation_refused",
    )
    assert portal.login(person).status_code == 200
    assert portal.post("account/close", body, tokens["access_token"]).status_code == 204
    assert portal.login(person).status_code == 401
    assert not is_live(portal, tokens)
    assert code(portal.post("account/close", body, tokens["access_token"])) == (401, "session_ended")
    assert portal.noticed(person["email"]) == ["account_closed"]


@pytest.mark.req("P5", "P6")
def test_sessions_and_devices_are_ended_by_their_owner_alone(
    portal: Any, member: Member, carla: Person
) -> None:
    person, tokens = member
    here, there = portal.tokens(person), portal.tokens(person)
    hers = portal.tokens(carla)
    for session, status in [(there, 204), (there, 404), (hers, 404)]:
        answer = portal.post("sessions/end", {"id": session["session"]["id"]}, here["access_token"])
        assert answer.status_code == status, answer.text
    assert (is_live(portal, there), is_live(portal, hers)) == (False, True)
    ((mine, foreign),) = [
        (
            portal.sql("select device_id from public.portal_sessions where id = %s", here["session"]["id"]),
            portal.sql("select device_id from public.portal_sessions where id = %s", hers["session"]["id"]),
        )
    ]
    refused = portal.post("devices/revoke", {"id": str(foreign[0]["device_id"])}, here["access_token"])
    assert code(refused) == (404, "device_not_found")
    assert portal.login(carla).status_code == 200
    revoked = portal.post("devices/revoke", {"id": str(mine[0]["device_id"])}, here["access_token"])
    assert revoked.status_code == 204
    assert portal.login(person).status_code == 401
    assert not is_live(portal, tokens)
    assert code(portal.post("sessions/end", {"id": None}, here["access_token"])) == (401, "session_ended")
    assert portal.post("sessions/end", {"id": None}, hers["access_token"]).status_code == 204
    assert not is_live(portal, hers)


@pytest.mark.req("P6")
def test_a_key_once_proved_is_needed_from_then_on(
    portal: Any, member: Member, app_key: Any, another_key: Any
) -> None:
    person, _ = member
    at = portal.address_of

    def login(key: Any = None) -> httpx.Response:
        return portal.post("login", person, proof=key.proof(at("login")) if key else None)

    assert login().status_code == 200, "a device without a key needs none"
    proof = app_key.proof(at("login"))
    proved = portal.post("login", person, proof=proof)
    assert proved.status_code == 200
    assert code(portal.post("login", person, proof=proof)) == (401, "proof_invalid")
    assert code(login()) == code(login(another_key)) == (401, "invalid_login")
    assert login(app_key).status_code == 200
    device, bearer = part(person, DEVICE), proved.json()["access_token"]
    refresh = device | {"refresh_token": proved.json()["refresh_token"]}
    renewed = portal.post("refresh", refresh, proof=app_key.proof(at("refresh")))
    assert renewed.status_code == 200
    pins = part(person, CONFIRMED, new_pin="319028")
    assert code(portal.post("pin/change", pins, bearer)) == (403, "confirmation_refused")
    with_key = app_key.proof(at("pin/change"), ath=app_key.ath(bearer))
    assert portal.post("pin/change", pins, bearer, with_key).status_code == 204
    stolen = device | {"refresh_token": renewed.json()["refresh_token"]}
    assert code(portal.post("refresh", stolen)) == (401, "device_mismatch")


@pytest.mark.req("P6")
def test_a_key_proved_at_activation_or_binding_is_the_devices_from_the_start(
    portal: Any, invite: Callable[[], Any], app_key: Any, another_key: Any
) -> None:
    newcomer, at = invite(), portal.address_of
    made = portal.post("activate", newcomer.activation(), proof=app_key.proof(at("activate")))
    assert made.status_code == 200
    person = newcomer.person
    assert code(portal.login(person)) == (401, "invalid_login")
    assert portal.post("login", person, proof=app_key.proof(at("login"))).status_code == 200
    # The phone is set up anew: mail and password give it another key.
    asked = part(person, ("garage_id", "email", "password", *DEVICE))
    portal.post("devices/request", asked)
    mailed = portal.mailed("portal_device_code", person["email"])
    confirm = asked | {"code": mailed, "pin": person["pin"]}
    bound = portal.post("devices/confirm", confirm, proof=another_key.proof(at("devices/confirm")))
    assert bound.status_code == 200, bound.text
    assert code(portal.post("login", person, proof=app_key.proof(at("login")))) == (401, "invalid_login")
    assert portal.post("login", person, proof=another_key.proof(at("login"))).status_code == 200


def one_after_the_other(database: Database) -> Iterator[dict[str, Any]]:
    """Every message there is to send; of one garage few are under way at once."""
    while True:
        change(database, "update pgmq.q_send set vt = now()")
        claimed = claim(database, "send", max_jobs=1)
        if not claimed:
            return
        yield claimed[0]
        finish(database, "send", claimed[0])


@pytest.mark.req("P2", "P3")
def test_workers_take_every_mail_about_access_and_its_token_works(
    portal: Any, member: Member, invite: Callable[[], Any]
) -> None:
    person, tokens = member
    new = "moved-" + person["email"]
    invited = invite()
    portal.post("password/forgot", part(person, ("garage_id", "email")))
    portal.mailed("portal_password_reset", person["email"])
    portal.post("devices/request", part(person, ("garage_id", "email", "password", *DEVICE)))
    portal.mailed("portal_device_code", person["email"])
    portal.post("email/change", part(person, CONFIRMED, new_email=new), tokens["access_token"])
    portal.mailed("portal_email_change", new)
    jobs = {}
    for claimed in one_after_the_other(portal.database):
        job = parse_job(claimed["job"])
        if isinstance(job, SendJob) and job.recipient.address in (
            person["email"],
            new,
            invited.person["email"],
        ):
            jobs[job.template] = (
                job,
                render_mail(job, SITES),
            )
    assert set(jobs) == {
        "portal_invited",
        "portal_password_reset",
        "portal_device_code",
        "portal_email_change",
        "portal_notice",
    }
    link = re.search(r"/password#garage=([0-9a-f-]+)&token=(\w+)", jobs["portal_password_reset"][1].text)
    assert link is not None and link[1] == person["garage_id"]
    assert portal.post("password/reset", {"token": link[2], "password": NEW}).status_code == 204
    kept = portal.sql("select token from private.portal_mails where token is not null")
    assert [row["token"] for row in kept if row["token"] in (link[2], invited.token)] == []
    texts = portal.sql(
        "select 1 from public.communications where starts_with(template, 'portal') and body_text is not null"
    )
    assert texts == []


@pytest.mark.req("P3", "P5")
def test_no_token_code_or_secret_is_logged(portal: Any, member: Member) -> None:
    person, tokens = member
    portal.post("password/forgot", part(person, ("garage_id", "email")))
    token = portal.mailed("portal_password_reset", person["email"])
    portal.post("password/reset", {"token": token, "password": NEW})
    log = portal.log.read_text()
    assert "portal.activated" in log and "portal.password_reset" in log
    secrets = [
        token,
        NEW,
        person["password"],
        person["email"],
        tokens["access_token"],
        tokens["refresh_token"],
    ]
    assert [secret for secret in secrets if secret in log] == []
