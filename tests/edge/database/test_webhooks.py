"""Webhooks as providers send them and as attackers do, over HTTP, the real edge and the real SQL."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest

from devstack.testing import Database
from sql_tests import outcomes
from sql_tests.cast import CARLA, CARLA_AT_ZUID, KAREL, NOORD, ZUID
from sql_tests.outcomes import ACCOUNT_SID, AUTH_TOKEN, sent, status_of
from sql_tests.signing import SendGridSigner, batch, twilio_form, twilio_signature
from sql_tests.steps import change, look

pytestmark = pytest.mark.req("D9")

CARLAS = "+32470111111"
OTHER_TOKEN = "another-token-of-the-other-garage"
CANARY = "het-geheim-van-de-klant"


@dataclass
class Providers:
    """What a garage's providers know, and the edge they call."""

    portal: Any
    noord: SendGridSigner
    zuid: SendGridSigner
    accounts: dict[str, str]
    posted: list[httpx.Response] = field(default_factory=list)

    def mail(
        self, *told: Any, to: str = "noord", by: SendGridSigner | None = None, **other: Any
    ) -> httpx.Response:
        """A batch of events for an account."""
        body = other.pop("body", None) or batch(*told)
        headers = other.pop("headers", None) or (by or self.noord).headers(
            other.pop("signed", body), other.pop("timestamp", None)
        )
        account = self.accounts.get(to, to)
        return self._post(f"/webhooks/sendgrid/{account}", body, headers)

    def text(
        self, path: str, form: dict[str, str], to: str = "sms", token: str = AUTH_TOKEN, **other: Any
    ) -> httpx.Response:
        """A form from Twilio for an account; `path` is what follows its id."""
        account = self.accounts.get(to, to)
        where = f"/webhooks/twilio/{account}/{path}"
        full = {"AccountSid": ACCOUNT_SID, **form}
        signature = other.get("signature") or twilio_signature(
            token, f"{other.get('url', self.portal.public_url)}{where}", full
        )
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature,
            **other.get("headers", {}),
        }
        return self._post(where, other.get("body") or twilio_form(full), headers)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        answer: httpx.Response = self.portal.http.post(path, content=body, headers=headers)
        self.posted.append(answer)
        return answer


@pytest.fixture(scope="module")
def signers() -> tuple[SendGridSigner, SendGridSigner]:
    return SendGridSigner(), SendGridSigner()


@pytest.fixture(scope="module")
def accounts(database: Database, signers: tuple[SendGridSigner, SendGridSigner]) -> dict[str, str]:
    return {
        "noord": outcomes.account(
            database, NOORD, "email", public_key=signers[0].public_key, secret="SG.n-00000"
        ),
        "zuid": outcomes.account(
            database, ZUID, "email", public_key=signers[1].public_key, secret="SG.z-00000"
        ),
        "sms": outcomes.account(database, NOORD, "sms"),
        "whatsapp": outcomes.account(database, NOORD, "whatsapp"),
        "zuid sms": outcomes.account(database, ZUID, "sms", secret=OTHER_TOKEN),
    }


@pytest.fixture
def providers(
    portal: Any, signers: tuple[SendGridSigner, SendGridSigner], accounts: dict[str, str]
) -> Iterator[Providers]:
    change(
        portal.database,
        "delete from public.inbound_messages; delete from public.suppressions;"
        " delete from public.customer_opt_outs",
    )
    yield Providers(portal, *signers, accounts)


def event(message: str, name: str = "delivered", **other: Any) -> dict[str, Any]:
    """An event as SendGrid tells it."""
    return {
        "email": "carla@example.test",
        "timestamp": int(time.time()),
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name,
        "sg_event_id": uuid4().hex,
        "sg_message_id": "msg-1.filterdrecv-5645d9c87f-78xsx-1-5F1-1.0",
        "communication_id": message,
        **other,
    }


def sid_of(message: str) -> str:
    """A SID of its own for each message."""
    return "SM" + UUID(message).hex


def status(message: str, name: str = "delivered", **other: str) -> dict[str, Any]:
    """A status callback's form, and what it is about."""
    return {"path": f"status?communication_id={message}", "form": {
        "MessageSid": sid_of(message), "SmsSid": sid_of(message), "MessageStatus": name,
        "SmsStatus": name, "To": CARLAS, "From": "+32460000001", "ApiVersion": "2010-04-01", **other,
    }}  # fmt: skip


def answered(body: str = "Is hij klaar?", **other: str) -> dict[str, str]:
    """An inbound message's form."""
    sid = "SM" + uuid4().hex
    return {"MessageSid": sid, "From": CARLAS, "To": "+32460000001", "Body": body, "NumMedia": "0", **other}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def mail(providers: Providers, database: Database) -> str:
    """A mail that Noord's own account sent to Carla."""
    return sent(database, CARLA.customer_id, account_id=providers.accounts["noord"])


@pytest.fixture
def text(providers: Providers, database: Database) -> str:
    """An SMS that Noord's own account sent to Carla."""
    message = sent(database, CARLA.customer_id, "sms", providers.accounts["sms"], None)
    set_id = "update public.communications set provider_message_id = %s where id = %s"
    change(database, set_id, sid_of(message), message)
    return message


REFUSED = (403, "webhook_refused")


def test_sendgrids_events_settle_a_mail(providers: Providers, database: Database, mail: str) -> None:
    told = event(mail, "processed"), event(mail, "deferred"), event(mail, "open"), event(mail)
    assert providers.mail(*told).status_code == 204
    assert status_of(database, mail) == "delivered"
    rows = "select array_agg(event order by event) from public.delivery_events where communication_id = %s"
    assert look(database, rows, mail) == ["deferred", "delivered", "processed"], (
        "nobody is told who opens what"
    )
    ids = "select distinct provider_id from public.delivery_events where communication_id = %s"
    assert look(database, ids, mail) == "msg-1"


@pytest.mark.parametrize(
    ("told", "reason", "code_"),
    [
        (
            {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 carla@…"},
            "bounce",
            "5.1.1",
        ),
        ({"event": "bounce", "bounce_classification": "Invalid Address"}, "bounce", "Invalid Address"),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1"}, None, "5.7.1"),
        ({"event": "bounce", "type": "bounce", "status": "4.2.2"}, None, "4.2.2"),
        ({"event": "dropped", "reason": "Bounced Address"}, "bounce", "bounced address"),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "complaint", "spam reporting address"),
        ({"event": "dropped", "reason": f"Something about {CANARY}"}, None, "dropped"),
        ({"event": "spamreport"}, "complaint", None),
        ({"event": "unsubscribe"}, "stop", None),
    ],
)
def test_bounces_and_complaints_stop_further_mail(
    providers: Providers,
    database: Database,
    mail: str,
    told: dict[str, str],
    reason: str | None,
    code_: str | None,
) -> None:
    assert providers.mail(event(mail, **told)).status_code == 204
    found = "select max(reason) from public.suppressions where garage_id = %s"
    assert look(database, found, NOORD) == reason
    failed = told["event"] in ("bounce", "dropped")
    assert (status_of(database, mail) == "failed") is failed
    if failed:
        assert look(database, "select last_error from public.communications where id = %s", mail) == code_


def test_events_of_the_platforms_own_account(
    providers: Providers, portal: Any, database: Database, mail: str
) -> None:
    ours = sent(database, KAREL.customer_id)
    told = event(ours), event(mail)
    assert code(providers.mail(*told, to="platform")) == REFUSED
    assert providers.mail(*told, to="platform", by=portal.sendgrid).status_code == 204
    assert (status_of(database, ours), status_of(database, mail)) == ("delivered", "sent")


def test_a_forged_signature_is_refused(providers: Providers, database: Database, mail: str) -> None:
    body = batch(event(mail))
    good = providers.noord.headers(body)
    signature, timestamp = (name for name in good if name.startswith("x-"))
    forgeries = [
        good | {signature: ""}, good | {signature: "not base64!"}, good | {signature: "A" * 96},
        SendGridSigner().headers(body), {}, good | {timestamp: ""},
        good | {timestamp: str(int(time.time()) + 1)}, good | {signature: good[signature][:-8] + "AAAAAAA="},
    ]  # fmt: skip
    for headers in forgeries:
        assert code(providers.mail(body=body, headers={"x-none": "1", **headers})) == REFUSED
    assert status_of(database, mail) == "sent"
    assert providers.mail(body=body, headers=good).status_code == 204
    assert status_of(database, mail) == "delivered"


def test_the_key_of_another_garages_account_opens_nothing_here(
    providers: Providers, database: Database, mail: str
) -> None:
    assert code(providers.mail(event(mail), by=providers.zuid)) == REFUSED
    assert providers.mail(event(mail), to="zuid", by=providers.zuid).status_code == 204
    assert status_of(database, mail) == "sent", "rightly signed, but not theirs to tell of"
    theirs = sent(database, CARLA_AT_ZUID.customer_id, account_id=providers.accounts["zuid"])
    assert providers.mail(event(theirs), event(mail), to="zuid", by=providers.zuid).status_code == 204
    assert (status_of(database, theirs), status_of(database, mail)) == ("delivered", "sent")
    assert (
        look(database, "select count(*) from public.delivery_events where communication_id = %s", mail) == 0
    )


def test_an_unknown_account_and_a_bad_signature_get_the_same_answer(providers: Providers, mail: str) -> None:
    answers = [
        providers.mail(event(mail), by=providers.zuid),
        *(providers.mail(event(mail), to=name) for name in (str(uuid4()), "sms", "whatsapp", "nonsense")),
        *(providers.text(**status(mail), to=name) for name in (str(uuid4()), "noord", "nonsense")),
        providers.text(**status(mail), token="guessed"),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, answers[0].text)}
    assert providers.mail(event(mail)).status_code == 204


def test_an_altered_body_is_refused(providers: Providers, database: Database, mail: str) -> None:
    told = event(mail)
    body = batch(told)
    for altered in (batch(event(mail, "bounce")), body.replace(b"\r\n", b"\n"), body + b" ", b""):
        assert code(providers.mail(body=altered or b" ", signed=body)) == REFUSED
    assert status_of(database, mail) == "sent"
    assert providers.mail(body=body, signed=body).status_code == 204


@pytest.mark.parametrize("age", [25 * 3600 + 60, 365 * 86400, -3600])
def test_a_stale_timestamp_is_refused(providers: Providers, mail: str, age: int) -> None:
    assert code(providers.mail(event(mail), timestamp=int(time.time()) - age)) == REFUSED
    assert code(providers.mail(event(mail), timestamp="12e3")) == REFUSED
    assert providers.mail(event(mail), timestamp=int(time.time()) - 23 * 3600).status_code == 204


def test_a_replay_has_no_second_effect(providers: Providers, database: Database, mail: str) -> None:
    body = batch(event(mail, "bounce", type="bounce", status="5.1.1"))
    headers = providers.noord.headers(body)
    assert providers.mail(body=body, headers=headers).status_code == 204
    change(database, "update public.suppressions set lifted_at = now(), lift_reason = 'weer goed'")
    for _ in range(100):
        assert providers.mail(body=body, headers=headers).status_code == 204
    assert (
        look(database, "select count(*) from public.delivery_events where communication_id = %s", mail) == 1
    )
    assert look(database, "select count(*) from public.suppressions where lifted_at is null") == 0


def test_a_giant_body_is_refused_before_it_is_read_to_its_end(providers: Providers, mail: str) -> None:
    giant = batch(event(mail, filler="x" * (2 * 1024 * 1024)))
    assert code(providers.mail(body=giant)) == (413, "request_too_large")
    assert code(providers.mail(body=giant, to=str(uuid4()))) == (413, "request_too_large")
    form = answered("x" * 70_000)
    assert code(providers.text("inbound", form)) == (413, "request_too_large")
    large = batch(event(mail, filler="x" * (1024 * 1024)))
    assert providers.mail(body=large).status_code == 204


@pytest.mark.parametrize(
    "body",
    [b"not json", b"{}", b"\xff\xfe", b"null", b"[" * 100_000, b'"[]"'],
    ids=lambda body: body[:9].decode("latin-1"),
)
def test_what_is_signed_and_not_a_list_of_events_is_refused(providers: Providers, body: bytes) -> None:
    assert code(providers.mail(body=body)) == (422, "invalid_request")
    assert code(providers.mail(body=body, by=providers.zuid)) == REFUSED


def test_malformed_events_never_hold_up_the_others(
    providers: Providers, database: Database, mail: str
) -> None:
    nonsense: list[Any] = [
        None, 7, "event", [], {}, event("not a uuid"), event(mail, 9), event(mail, "invented"),
        event(mail, communication_id=None), event(mail, communication_id=["x"]),
        event(mail, "deferred", timestamp="yesterday"), event(mail, "deferred", timestamp=10**30),
        event(mail, "deferred", timestamp=True), event(mail, "deferred", sg_event_id="x" * 5000),
        event(mail, "deferred", sg_event_id="a\x00b"), event(mail, "deferred", sg_message_id={"a": 1}),
        event(mail, "bounce", status="\ud800", reason="\x00", email="\ud83d\x00", type="blocked"),
    ]  # fmt: skip
    assert providers.mail(*nonsense, event(mail), *nonsense).status_code == 204
    assert status_of(database, mail) == "delivered"


def test_a_batch_of_many_hundreds_is_stored(providers: Providers, database: Database, mail: str) -> None:
    told = [event(mail, "deferred") for _ in range(650)]
    assert providers.mail(*told, event(mail)).status_code == 204
    assert (
        look(database, "select count(*) from public.delivery_events where communication_id = %s", mail) == 651
    )


def test_what_could_not_be_stored_is_asked_for_again(
    providers: Providers, database: Database, mail: str
) -> None:
    body = batch(event(mail))
    change(database, "revoke execute on function private.record_delivery_events from edge")
    try:
        assert providers.mail(body=body).status_code == 500
    finally:
        change(database, "grant execute on function private.record_delivery_events to edge")
    with database.connect() as holding:
        holding.execute("select from public.communications where id = %s for update", (mail,))
        assert code(providers.mail(body=body)) == (503, "service_unavailable"), "the edge waits 5 s at most"
    assert status_of(database, mail) == "sent"
    assert providers.mail(body=body).status_code == 204
    assert status_of(database, mail) == "delivered"


def test_twilios_callbacks_settle_a_text(providers: Providers, database: Database, text: str) -> None:
    for name in ("queued", "sent", "read", "delivered", "sending"):
        assert providers.text(**status(text, name)).status_code == 204
    assert status_of(database, text) == "read"


@pytest.mark.parametrize(
    ("error", "reason"), [("30005", "unreachable"), ("21610", "stop"), ("30003", None), ("30008", None)]
)
def test_a_text_that_failed_for_good_stops_further_ones(
    providers: Providers, database: Database, text: str, error: str, reason: str | None
) -> None:
    assert providers.text(**status(text, "undelivered", ErrorCode=error)).status_code == 204
    assert status_of(database, text) == "failed"
    assert look(database, "select max(reason) from public.suppressions") == reason
    assert look(database, "select last_error from public.communications where id = %s", text) == error


def test_attacks_on_twilios_callbacks_are_refused(
    providers: Providers, database: Database, text: str
) -> None:
    told = status(text)
    full = {"AccountSid": ACCOUNT_SID, **told["form"]}
    elsewhere = sent(database, CARLA.customer_id, "sms", providers.accounts["sms"], "SM" + "cd" * 16)
    where = f"{providers.portal.public_url}/webhooks/twilio/{providers.accounts['sms']}"
    signature = twilio_signature(AUTH_TOKEN, f"{where}/{told['path']}", full)
    refused = [
        providers.text(**told, token=OTHER_TOKEN),
        providers.text(**told, signature="x"),
        providers.text(**told, signature="="),
        providers.text(**told, to="zuid sms", token=AUTH_TOKEN),
        providers.text(**told, body=twilio_form(full | {"MessageStatus": "read"}), signature=signature),
        providers.text(**told, body=twilio_form(full | {"More": "1"}), signature=signature),
        providers.text(f"status?communication_id={elsewhere}", told["form"], signature=signature),
        providers.text("inbound", told["form"], signature=signature),
        providers.text(told["path"], told["form"] | {"AccountSid": "AC" + "f" * 32}),
        # The address is ours to say: a Host of the attacker's choosing proves nothing.
        providers.text(
            **told,
            url="https://evil.example",
            headers={"host": "evil.example", "x-forwarded-host": "evil.example"},
        ),
    ]
    assert {code(answer) for answer in refused} == {REFUSED}
    assert [status_of(database, one) for one in (text, elsewhere)] == ["sent", "sent"]
    assert providers.text(**told, headers={"host": "evil.example"}).status_code == 204
    assert status_of(database, text) == "delivered"


def test_another_garages_twilio_tells_nothing_of_ours(
    providers: Providers, database: Database, text: str
) -> None:
    answer = providers.text(**status(text), to="zuid sms", token=OTHER_TOKEN)
    assert answer.status_code == 204
    assert status_of(database, text) == "sent"
    assert providers.text(**status(text)).status_code == 204
    assert status_of(database, text) == "delivered"


def test_twilios_json_is_verified_by_the_hash_in_its_address(
    providers: Providers, database: Database, text: str
) -> None:
    form = {"AccountSid": ACCOUNT_SID, **status(text)["form"]}
    body = json.dumps(form).encode()

    def post(body: bytes, **query: str) -> httpx.Response:
        path = f"/webhooks/twilio/{providers.accounts['sms']}/status?" + urlencode(
            {"communication_id": text, **query}
        )
        signature = twilio_signature(AUTH_TOKEN, providers.portal.public_url + path)
        headers = {"content-type": "application/json", "x-twilio-signature": signature}
        answer: httpx.Response = providers.portal.http.post(path, content=body, headers=headers)
        return answer

    digest = hashlib.sha256(body).hexdigest()
    assert code(post(body)) == REFUSED, "a signed address alone says nothing of the body"
    assert code(post(body.replace(b"delivered", b"undelivered"), bodySHA256=digest)) == REFUSED
    assert code(post(b"{", bodySHA256=hashlib.sha256(b"{").hexdigest())) == (422, "invalid_request")
    assert status_of(database, text) == "sent"
    assert post(body, bodySHA256=digest).status_code == 204
    assert status_of(database, text) == "delivered"


TALK = """
select array_agg(m.body order by m.created_at) from public.messages m
  join public.conversations c on c.garage_id = m.garage_id and c.id = m.conversation_id
 where c.customer_id = %s and m.sender = 'customer'
"""


def test_an_answer_comes_into_the_conversation_once(providers: Providers, database: Database) -> None:
    change(database, "delete from public.messages")
    form = answered("Dag\r\nis hij klaar?\x00 💬")
    for _ in range(3):
        answer = providers.text("inbound", form)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml") and answer.text.endswith("<Response/>")
    assert look(database, TALK, CARLA.customer_id) == ["Dag\nis hij klaar? 💬"]
    assert code(providers.text("inbound", answered(), token=OTHER_TOKEN)) == REFUSED
    assert code(providers.text("inbound", form | {"MessageSid": "SM1"})) == (422, "invalid_request")
    assert look(database, TALK, CARLA_AT_ZUID.customer_id) is None


def test_whatsapp_opens_its_window_and_stop_closes_the_channel(
    providers: Providers, database: Database
) -> None:
    form = answered("Ja graag", From=f"whatsapp:{CARLAS}", NumMedia="1")
    assert providers.text("inbound", form, to="whatsapp").status_code == 200
    assert look(database, "select private.has_open_window(%s, %s)", NOORD, CARLA.customer_id)
    stop = answered("Stop er maar mee", From=f"whatsapp:{CARLAS}", OptOutType="STOP")
    assert providers.text("inbound", stop, to="whatsapp").status_code == 200
    suppressed = "select private.is_suppressed(%s, %s, %s)"
    assert look(database, suppressed, NOORD, "whatsapp", CARLAS)
    assert not look(database, suppressed, NOORD, "sms", CARLAS)


@pytest.mark.req("S4")
def test_nothing_of_a_webhook_or_a_key_is_in_the_logs(providers: Providers, mail: str, text: str) -> None:
    providers.mail(event(mail, "bounce", reason=CANARY, email=f"{CANARY}@example.test"))
    providers.mail(event(mail, reason=CANARY), by=providers.zuid)
    providers.mail(body=f'["{CANARY}'.encode())
    providers.text("inbound", answered(CANARY, From="+32499123456"))
    providers.text("inbound", answered(CANARY, MessageSid=CANARY))
    providers.text(f"status?communication_id={CANARY}", {"MessageStatus": CANARY}, signature=CANARY)
    providers.mail(event(mail), to=f"{CANARY}")
    log = providers.portal.log.read_text()
    for secret in (CANARY, AUTH_TOKEN, "+32499123456", CARLAS):
        assert secret not in log
    assert "webhook.refused" in log and "webhook.events" in log
