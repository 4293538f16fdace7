"""The adapter for a garage's own mail server against the sandboxed one, over TLS."""

import logging
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from devstack.config import GatewayConfig
from workers.adapters.mail_text import mail_bytes
from workers.adapters.smtp import SmtpMailer
from workers.core.accounts import SmtpAccount
from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.hosts import MailHosts
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail
from workers.ports import MailFile

ACCOUNT = UUID("aaaaaaaa-0000-4000-8000-000000000001")
REFERENCE = UUID("99999999-0000-4000-8000-000000000001")
SENDER = Sender(address="facturen@garage-noord.be", name="Garage Noord", reply_to="info@garage-noord.be")
CARLA = Recipient(address="carla@example.test", name="Carla Peeters-Lefèvre")
MAIL = Mail(
    "Uw factuur: € 12,50",
    "Beste Carla\n.\n..punten\n",
    "<p>Beste <b>Carla</b></p>\n",
    opt_out_url=f"https://portal.autexor.be/functions/v1/opt-out/{'0123456789abcdef' * 4}",
)

Inbox = Callable[[], list[dict[str, Any]]]
MakeMailer = Callable[..., SmtpMailer]


@pytest.fixture
def mailer(config: GatewayConfig, ca_file: str, client: httpx.Client) -> MakeMailer:
    def make(
        security: Literal["tls", "starttls"] = "tls",
        password: str = "hunter2-canary",
        is_trusted: bool = True,
        **changes: Any,
    ) -> SmtpMailer:
        port = config.smtp_tls_port if security == "tls" else config.smtp_starttls_port
        account = SmtpAccount.model_validate(
            {
                "provider": "smtp",
                "id": ACCOUNT,
                "host": "127.0.0.1",
                "port": port,
                "security": security,
                "username": "facturen",
                "secret": SecretStr(password),
                **changes,
            }
        )
        return SmtpMailer(account, MailHosts(is_local=True), ca_file if is_trusted else None)

    return make


def send(mailer: SmtpMailer, **changes: Any) -> str | None:
    asked: dict[str, Any] = {"mail": MAIL, "to": CARLA, "sender": SENDER, "file": None, **changes}
    return mailer.send(**asked, reference=REFERENCE)


def to(address: str) -> Recipient:
    return Recipient(address=address, name="Carla")


@pytest.mark.req("D8", "D10", "S1")
@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_mail_goes_out_encrypted_with_its_file(
    mailer: MakeMailer, inbox: Inbox, security: str, host: str
) -> None:
    pdf = b"%PDF-1.7\r\n.\r\n\x00\xff"
    sent = send(mailer(security, host=host), file=MailFile("Factuur €.pdf", pdf))
    assert sent == f"{REFERENCE}@garage-noord.be"
    shown = inbox()[0]
    assert (shown["kind"], shown["provider"]) == ("email", "smtp")
    assert shown["from"] == {"email": "facturen@garage-noord.be", "name": "Garage Noord"}
    assert shown["to"] == [{"email": "carla@example.test", "name": "Carla Peeters-Lefèvre"}]
    assert (shown["subject"], shown["html"]) == (MAIL.subject, MAIL.html)
    assert shown["text"].replace("\r\n", "\n") == MAIL.text
    headers = shown["headers"]
    assert headers["Message-ID"] == f"<{sent}>"
    assert headers["Reply-To"] == "Garage Noord <info@garage-noord.be>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["List-Unsubscribe"] == f"<{MAIL.opt_out_url}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (file,) = shown["attachments"]
    assert (file["filename"], file["size"], file["type"]) == ("Factuur €.pdf", len(pdf), "application/pdf")


@pytest.mark.req("D10")
def test_the_link_that_stops_mails_is_not_folded_into_encoded_words() -> None:
    raw = mail_bytes(MAIL, CARLA, SENDER, None, REFERENCE)
    assert f"\r\nList-Unsubscribe: <{MAIL.opt_out_url}>\r\n".encode() in raw
    assert b"\r\nSubject: Uw factuur: =?utf-8?" in raw, "as the subject is"


@pytest.mark.req("D10")
@pytest.mark.parametrize(
    "evil",
    [
        "Factuur\r\nBcc: eve@evil.example",
        "Factuur\nBcc: eve@evil.example",
        "Factuur\rBcc: eve@evil.example",
        "Factuur\x0bBcc: x\x0c\x1c\x85\u2028Bcc: eve@evil.example",
        "=?utf-8?q?Factuur=0D=0ABcc:_eve=40evil.example?=",
        "=?utf-8?b?RmFjdHV1cg0KQmNjOiBldmVAZXZpbC5leGFtcGxl?=",
        "\x00Factuur",
        "x" * 2000,
        "é" * 500,
    ],
)
def test_no_text_becomes_a_header(mailer: MakeMailer, inbox: Inbox, evil: str) -> None:
    send(
        mailer(),
        mail=Mail(evil, "y\n", "<p>y</p>\n"),
        to=Recipient(address="carla@example.test", name=evil),
        sender=Sender(address=SENDER.address, name=evil, reply_to=SENDER.reply_to),
        file=MailFile(evil, b"x"),
    )
    shown = inbox()[0]
    assert "Bcc" not in shown["headers"]
    assert [person["email"] for person in shown["to"]] == ["carla@example.test"]
    assert {"From", "To", "Reply-To", "Subject", "Date", "Message-ID"} <= shown["headers"].keys()
    assert len(shown["attachments"]) == 1


@pytest.mark.req("D10")
@pytest.mark.parametrize(
    "address",
    [
        "carla@example.test>\r\nRCPT TO:<eve@evil.example",
        "carla@example.test\nDATA",
        "carla@example.test, eve@evil.example",
        "<carla@example.test>",
        "carla",
        "@example.test",
        "carla@@example.test",
        "carla @example.test",
        "",
    ],
)
def test_no_address_becomes_a_command(mailer: MakeMailer, inbox: Inbox, address: str) -> None:
    before = len(inbox())
    for changes in (
        {"to": to(address)},
        {"sender": Sender(address=address, name="x", reply_to=SENDER.reply_to)},
        {"sender": Sender(address=SENDER.address, name="x", reply_to=address)},
    ):
        with pytest.raises(ProviderRefused, match=r"^smtp_address_invalid$"):
            send(mailer(), **changes)
    assert len(inbox()) == before


@pytest.mark.req("D8")
def test_addresses_beyond_ascii_are_written_as_servers_take_them(mailer: MakeMailer, inbox: Inbox) -> None:
    send(mailer(), to=to("carla@müller.example"))
    assert inbox()[0]["to"][0]["email"] == "carla@xn--mller-kva.example"
    send(mailer("starttls"), to=to("renée@example.test"))
    assert inbox()[0]["to"][0]["email"] == "renée@example.test"


@pytest.mark.req("D8", "D10")
@pytest.mark.parametrize(
    ("address", "kind", "reason"),
    [
        ("fail-550@example.test", ProviderRefused, "smtp_rcpt_550 5.1.1"),
        ("fail-552@example.test", ProviderRefused, "smtp_rcpt_552 5.1.1"),
        ("fail-450@example.test", ProviderUnavailable, "smtp_rcpt_450 4.1.1"),
        ("fail-451@example.test", ProviderUnavailable, "smtp_rcpt_451 4.1.1"),
        ("silent@example.test", ProviderSilent, "smtp_SMTPServerDisconnected"),
    ],
)
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_what_goes_wrong_is_told_by_its_type_and_code(
    mailer: MakeMailer, security: str, address: str, kind: type[ProviderError], reason: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        send(mailer(security), to=to(address))
    assert (type(caught.value), caught.value.reason) == (kind, reason)


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("status", "kind"), [(421, ProviderUnavailable), (452, ProviderUnavailable), (554, ProviderRefused)]
)
def test_a_server_that_will_not_have_the_mail_took_nothing(
    mailer: MakeMailer, client: httpx.Client, inbox: Inbox, status: int, kind: type[ProviderError]
) -> None:
    before = len(inbox())
    client.post("/sandbox/faults", json={"provider": "smtp", "kind": f"status-{status}", "count": 1})
    with pytest.raises(kind, match=f"^smtp_answer_{status} {status // 100}.3.0$"):
        send(mailer())
    assert len(inbox()) == before
    assert send(mailer())


@pytest.mark.req("D8")
def test_a_mail_taken_without_an_answer_is_silence(
    mailer: MakeMailer, client: httpx.Client, inbox: Inbox
) -> None:
    before = len(inbox())
    client.post("/sandbox/faults", json={"provider": "smtp", "kind": "silent", "count": 1})
    with pytest.raises(ProviderSilent):
        send(mailer())
    assert len(inbox()) == before + 1


@pytest.mark.req("D10")
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_wrong_password_is_refused_with_its_reason(mailer: MakeMailer, security: str) -> None:
    with pytest.raises(ProviderRefused, match=r"^smtp_auth_535 5\.7\.8$"):
        send(mailer(security, password="wrong-password"))
    with pytest.raises(ProviderRefused, match=r"^smtp_credentials_not_ascii$"):
        send(mailer(security, password="pässword"))


@pytest.mark.req("S1")
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_server_whose_certificate_nobody_vouches_for_gets_neither_mail_nor_password(
    mailer: MakeMailer, inbox: Inbox, security: str
) -> None:
    before = len(inbox())
    with pytest.raises(ProviderUnavailable, match=r"^smtp_certificate_refused$"):
        send(mailer(security, is_trusted=False))
    assert len(inbox()) == before
    assert send(mailer(security))


@pytest.mark.req("D10")
def test_the_password_is_in_no_log_reason_or_repr(
    mailer: MakeMailer, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for password in ("wrong-canary", "hunter2-canary"):
        one = mailer(password=password)
        told.append(repr(one) + repr(vars(one)))
        try:
            send(one, to=to("fail-550@example.test"))
        except ProviderError as error:
            told.append(repr(error) + error.reason)
    assert len(told) == 4  # both were refused
    assert "canary" not in "".join(told)
    assert "canary" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("workers"))
