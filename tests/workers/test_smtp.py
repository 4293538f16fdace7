"""Mail servers that behave badly, and names that lead where they should not."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from devstack.certificates import Certificates
from workers.adapters import smtp
from workers.adapters.smtp import SmtpMailer
from workers.core.accounts import SmtpAccount
from workers.core.errors import ProviderError, ProviderRefused, ProviderSilent, ProviderUnavailable
from workers.core.hosts import MailHosts
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail

REFERENCE = UUID("99999999-0000-4000-8000-000000000001")
SENDER = Sender(address="facturen@garage-noord.be", name="Garage Noord", reply_to="info@garage-noord.be")
CARLA = Recipient(address="carla@example.test", name="Carla")
MAIL = Mail("Factuur", "Beste Carla\n", "<p>Beste Carla</p>\n")
PASSWORD = "hunter2-canary"

# What a server does on one connection, told the lines it reads; returning ends the connection.
Script = Callable[["Conversation"], None]


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")
        self.heard: list[bytes] = []

    def say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")

    def hear(self) -> bytes:
        line = self.file.readline()
        self.heard.append(line.strip())
        return line

    def until_data(self) -> None:
        self.say("220 ready")
        while line := self.hear():
            match line.split()[0].upper():
                case b"EHLO":
                    self.say("250-here\r\n250 AUTH PLAIN")
                case b"AUTH":
                    self.say("235 2.7.0 in")
                case b"DATA":
                    self.say("354 go on")
                    return
                case _:
                    self.say("250 fine")

    def until_the_dot(self) -> None:
        self.until_data()
        while self.hear() not in (b".\r\n", b""):
            pass


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(Path(tmp_path_factory.mktemp("tls")))
    made.make()
    return made


@pytest.fixture
def serving(certificates: Certificates) -> Iterator[Callable[..., tuple[SmtpMailer, list[Conversation]]]]:
    """Start a server that follows a script; gives a mailer for it, and its conversations."""
    listening = socket.create_server(("127.0.0.1", 0))
    conversations: list[Conversation] = []
    threads: list[threading.Thread] = []

    def start(script: Script, security: str = "tls") -> tuple[SmtpMailer, list[Conversation]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)

        def serve() -> None:
            with suppress(OSError):
                accepted, _ = listening.accept()
                if security == "tls":
                    accepted = context.wrap_socket(accepted, server_side=True)
                conversations.append(Conversation(accepted))
                with accepted, conversations[-1].file:
                    script(conversations[-1])

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        account = SmtpAccount.model_validate(
            {
                "provider": "smtp",
                "id": REFERENCE,
                "host": "localhost",
                "port": listening.getsockname()[1],
                "security": security,
                "username": "facturen",
                "secret": SecretStr(PASSWORD),
            }
        )
        mailer = SmtpMailer(account, MailHosts(is_local=True), str(certificates.authority))
        return mailer, conversations

    yield start
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)  # wakes whoever still waits for a connection
    listening.close()
    for thread in threads:
        thread.join()


Serving = Callable[..., tuple[SmtpMailer, list[Conversation]]]


def send(mailer: SmtpMailer) -> str | None:
    return mailer.send(MAIL, CARLA, SENDER, None, REFERENCE)


def reason_of(mailer: SmtpMailer, kind: type[ProviderError]) -> str:
    with pytest.raises(ProviderError) as caught:
        send(mailer)
    assert type(caught.value) is kind, caught.value
    return caught.value.reason


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ("450 4.2.1 later", ProviderUnavailable, "smtp_answer_450 4.2.1"),
        ("451 carla@example.test is busy", ProviderUnavailable, "smtp_answer_451"),
        ("552 5.2.2 mailbox full", ProviderRefused, "smtp_answer_552 5.2.2"),
        ("554 5.7.1carla@example.test", ProviderRefused, "smtp_answer_554"),
        ("354 what", ProviderSilent, "smtp_answer_354"),
        ("nonsense", ProviderSilent, "smtp_answer_0"),
        ("", ProviderSilent, "smtp_answer_0"),
    ],
)
def test_after_the_dot_only_an_answer_settles_what_happened(
    serving: Serving, answer: str, kind: type[ProviderError], reason: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.until_the_dot()
        conversation.say(answer)

    assert reason_of(serving(script)[0], kind) == reason


@pytest.mark.req("D8")
def test_a_connection_lost_after_the_dot_is_silence(serving: Serving) -> None:
    mailer, _ = serving(lambda conversation: conversation.until_the_dot())
    assert reason_of(mailer, ProviderSilent) == "smtp_SMTPServerDisconnected"


@pytest.mark.req("D8")
def test_a_connection_lost_before_the_mail_took_nothing(serving: Serving) -> None:
    def script(conversation: Conversation) -> None:
        conversation.say("220 ready")
        conversation.hear()

    assert reason_of(serving(script)[0], ProviderUnavailable) == "smtp_SMTPServerDisconnected"


@pytest.mark.req("D8")
def test_a_goodbye_that_fails_changes_nothing(serving: Serving) -> None:
    def script(conversation: Conversation) -> None:
        conversation.until_the_dot()
        conversation.say("250 2.0.0 taken")
        conversation.hear()
        conversation.say("500 what?")

    mailer, conversations = serving(script)
    assert send(mailer) == f"{REFERENCE}@garage-noord.be"
    assert b"QUIT" in [line.upper() for line in conversations[0].heard]


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("greeting", "kind"),
    [("421 4.3.2 closing", ProviderUnavailable), ("554 5.7.1 go away", ProviderRefused)],
)
def test_a_server_may_turn_us_away_at_the_door(
    serving: Serving, greeting: str, kind: type[ProviderError]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.say(greeting)
        conversation.hear()

    assert reason_of(serving(script)[0], kind).startswith("smtp_greeting_")


@pytest.mark.req("S1", "D10")
@pytest.mark.parametrize(
    ("extensions", "reason"),
    [("AUTH PLAIN", "smtp_starttls_not_offered"), ("STARTTLS", "smtp_starttls_454")],
)
def test_nothing_is_said_over_a_connection_that_stays_open_to_all(
    serving: Serving, extensions: str, reason: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.say("220 ready")
        while line := conversation.hear():
            conversation.say(f"250-here\r\n250 {extensions}" if line.startswith(b"ehlo") else "454 not now")

    mailer, conversations = serving(script, security="starttls")
    kind = ProviderUnavailable if "454" in reason else ProviderRefused
    assert reason_of(mailer, kind) == reason
    said = b" ".join(conversations[0].heard)
    assert b"AUTH" not in said.upper().replace(b"STARTTLS", b"") and b"MAIL" not in said.upper()


@pytest.mark.req("S1", "D10")
def test_a_server_that_wants_no_password_is_not_trusted_with_mail(serving: Serving) -> None:
    def script(conversation: Conversation) -> None:
        conversation.say("220 ready")
        while conversation.hear():
            conversation.say("250 here")

    mailer, conversations = serving(script)
    assert reason_of(mailer, ProviderRefused) == "smtp_auth_not_offered"
    assert not [line for line in conversations[0].heard if line.upper().startswith(b"MAIL")]


@pytest.mark.req("D8")
def test_a_challenge_that_is_nonsense_took_nothing(serving: Serving) -> None:
    def script(conversation: Conversation) -> None:
        conversation.say("220 ready")
        while line := conversation.hear():
            is_greeting = line.startswith(b"ehlo")
            conversation.say("250-here\r\n250 AUTH CRAM-MD5" if is_greeting else "334 a")

    assert reason_of(serving(script)[0], ProviderUnavailable) == "smtp_Error"


@pytest.mark.req("D8")
def test_a_server_that_never_stops_talking_is_hung_up_on(serving: Serving) -> None:
    def script(conversation: Conversation) -> None:
        with suppress(OSError):
            while True:
                conversation.say("220-" + "x" * 500)

    assert reason_of(serving(script)[0], ProviderUnavailable).startswith("smtp_")


@pytest.mark.req("D8")
@pytest.mark.parametrize(
    ("security", "begin", "reason"),
    [("tls", b"2", "smtp_SMTPServerDisconnected"), ("starttls", b"\x16\x03\x03\x40\x00", "smtp_SSLEOFError")],
    ids=["a greeting", "a record of a handshake"],
)
def test_a_server_that_answers_byte_by_byte_does_not_outlast_the_claim(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, security: str, begin: bytes, reason: str
) -> None:
    monkeypatch.setattr(smtp, "_TOTAL_SECONDS", 0.6)
    over, has_said_all = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        with suppress(OSError):
            conversation.connection.sendall(begin)
            for _ in range(100):
                if over.wait(0.05):
                    return
                conversation.connection.sendall(b"2" if security == "tls" else b"\0")
            has_said_all.set()
            conversation.connection.sendall(b"\xff" * 20_000)  # no reply, and no handshake

    mailer, _ = serving(script, security=security)
    # The server that begins no TLS of its own drips into the client's.
    mailer._account = mailer._account.model_copy(update={"security": "tls"})
    try:
        assert reason_of(mailer, ProviderUnavailable) == reason
        assert not has_said_all.is_set()
    finally:
        over.set()


@pytest.mark.req("D8")
def test_a_server_that_thinks_too_long_after_the_dot_is_silence(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_TOTAL_SECONDS", 1.0)
    over = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.until_the_dot()
        over.wait(10)

    try:
        reason_of(serving(script)[0], ProviderSilent)
    finally:
        over.set()


def test_a_server_that_cannot_be_reached_is_asked_again(serving: Serving, unused_url: str) -> None:
    account = serving(lambda conversation: None)[0]._account
    port = int(unused_url.rpartition(":")[2])
    mailer = SmtpMailer(account.model_copy(update={"port": port}), MailHosts(is_local=True))
    assert reason_of(mailer, ProviderUnavailable) == "smtp_ConnectionRefusedError"


def public(**changes: Any) -> SmtpMailer:
    asked = {"provider": "smtp", "id": REFERENCE, "host": "mail.example.com", "port": 465, "security": "tls"}
    account = SmtpAccount.model_validate({**asked, "username": "x", "secret": SecretStr(PASSWORD), **changes})
    return SmtpMailer(account, MailHosts())


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, int]]]:
    """Names resolve to these addresses; gives the connections that were tried."""

    def resolve(*addresses: str) -> list[tuple[str, int]]:
        tried: list[tuple[str, int]] = []
        answers = [addresses, ("127.0.0.1",)]

        def getaddrinfo(host: str, port: int, **options: object) -> list[Any]:
            found = answers.pop(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        def create_connection(address: tuple[str, int], timeout: float) -> socket.socket:
            tried.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(smtp.socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(smtp.socket, "create_connection", create_connection)
        return tried

    return resolve


@pytest.mark.req("S1", "G4", "D10")
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.5"],
        ["169.254.169.254"],
        ["8.8.8.8", "10.0.0.5"],
        ["::1"],
        ["::ffff:169.254.169.254"],
        ["fd00:ec2::254"],
    ],
)
def test_a_public_name_of_a_private_address_is_not_connected_to(
    resolving: Callable[..., list[tuple[str, int]]], addresses: list[str]
) -> None:
    tried = resolving(*addresses)
    assert reason_of(public(), ProviderRefused) == "smtp_host_not_public"
    assert not tried


@pytest.mark.req("S1", "G4", "D10")
def test_the_address_that_was_looked_at_is_the_one_that_is_called(
    resolving: Callable[..., list[tuple[str, int]]],
) -> None:
    tried = resolving("8.8.8.8", "1.1.1.1")
    assert reason_of(public(), ProviderUnavailable) == "smtp_ConnectionRefusedError"
    assert tried == [("8.8.8.8", 465), ("1.1.1.1", 465)]


@pytest.mark.req("S1", "G4", "D10")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "localhost"}, "smtp_host_not_public"),
        ({"host": "127.0.0.1"}, "smtp_host_not_public"),
        ({"host": "db.internal"}, "smtp_host_not_public"),
        ({"port": 5432}, "smtp_port_not_allowed"),
        ({"port": 25}, "smtp_port_not_allowed"),
    ],
)
def test_a_garage_cannot_make_us_knock_at_our_own_doors(
    resolving: Callable[..., list[tuple[str, int]]], changes: dict[str, Any], reason: str
) -> None:
    tried = resolving("8.8.8.8")
    assert reason_of(public(**changes), ProviderRefused) == reason
    assert not tried


@pytest.mark.req("D8")
def test_a_name_nobody_knows_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(smtp.socket, "getaddrinfo", getaddrinfo)
    assert reason_of(public(), ProviderUnavailable) == "smtp_gaierror"
