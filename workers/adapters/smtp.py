"""E-mail by a garage's own mail server, over TLS alone (RFC 5321, RFC 8314, RFC 3207)."""

from __future__ import annotations

import io
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from workers.adapters.mail_text import addressed, mail_bytes, message_id
from workers.core.accounts import SmtpAccount
from workers.core.errors import (
    HostRefused,
    ProviderError,
    ProviderRefused,
    ProviderSilent,
    ProviderUnavailable,
)
from workers.core.hosts import MailHosts
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail
from workers.ports import MailFile

_TIMEOUT_SECONDS = 20
# The whole conversation: a server that answers byte by byte must not outlast the claim on the job.
_TOTAL_SECONDS = 75.0
_MOST_ADDRESSES = 3
# All that a server may say to us in one conversation.
_MOST_BYTES = 64 * 1024
_OUR_NAME = "autexor.be"
_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")


class SmtpMailer:
    """Hands mails to one mail server, a connection each.

    Until the final dot is sent nothing was taken; after it, only a reply settles what happened. What the
    server says is read for its codes alone (RFC 3463): its words may quote addresses.
    """

    name = "smtp"

    def __init__(self, account: SmtpAccount, hosts: MailHosts, ca_file: str | None = None) -> None:
        self._account = account
        self._hosts = hosts
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)

    def send(
        self, mail: Mail, to: Recipient, sender: Sender, file: MailFile | None, reference: UUID
    ) -> str | None:
        """Hand one mail over; its Message-ID, which is the same for every attempt."""
        people = addressed(sender.address), addressed(to.address)
        needs_utf8 = not "".join([*people, sender.reply_to.rpartition("@")[0]]).isascii()
        raw = mail_bytes(mail, to, sender, file, reference, is_utf8=needs_utf8)
        with self._connected() as client:
            if needs_utf8 and not client.has_extn("smtputf8"):
                raise ProviderRefused("smtp_utf8_not_offered")
            _hand_over(client, *people, raw, ["SMTPUTF8", "BODY=8BITMIME"] if needs_utf8 else [])
        return message_id(sender, reference)

    @contextmanager
    def _connected(self) -> Iterator[_Client]:
        """A conversation, encrypted and signed in; whatever ends it before the mail is sent took nothing."""
        client = _Client(self._account, self._tls, time.monotonic() + _TOTAL_SECONDS)
        try:
            with _before_the_mail():
                addresses = self._addresses()
            with _cut_in_time(client):
                with _before_the_mail():
                    client.open(addresses)
                    self._sign_in(client)
                yield client
                client.leave()
        finally:
            client.drop()

    def _addresses(self) -> list[str]:
        """The server's addresses, all of them fit to be called: the name is not asked a second time."""
        host, port = self._account.host, self._account.port
        try:
            self._hosts.check(host, port)
        except HostRefused as error:
            raise ProviderRefused(error.reason) from None
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not all(self._hosts.may_connect(address) for address in addresses):
            raise ProviderRefused("smtp_host_not_public")
        return addresses[:_MOST_ADDRESSES]

    def _sign_in(self, client: _Client) -> None:
        client.ehlo_or_helo_if_needed()
        if self._account.security == "starttls":
            if not client.has_extn("starttls"):
                raise ProviderRefused("smtp_starttls_not_offered")
            _expect(client.starttls(context=self._tls), "starttls")
            client.ehlo_or_helo_if_needed()
        if not client.has_extn("auth"):
            raise ProviderRefused("smtp_auth_not_offered")
        username, password = self._account.username, self._account.secret.get_secret_value()
        if not (username + password).isascii():
            raise ProviderRefused("smtp_credentials_not_ascii")
        try:
            client.login(username, password)
        except smtplib.SMTPNotSupportedError:
            raise ProviderRefused("smtp_auth_not_offered") from None
        except smtplib.SMTPAuthenticationError as error:
            raise _replied("auth", error.smtp_code, error.smtp_error) from None


class _Client(smtplib.SMTP):
    """smtplib's client, which connects to addresses that were checked, and hears a server out only so far."""

    def __init__(self, account: SmtpAccount, tls: ssl.SSLContext, ends_at: float) -> None:
        super().__init__(local_hostname=_OUR_NAME, timeout=_TIMEOUT_SECONDS)
        self._account, self._tls, self._ends_at = account, tls, ends_at
        self._addresses: list[str] = []
        self._heard = 0

    @property
    def seconds_left(self) -> float:
        """How long this conversation may still take."""
        return max(self._ends_at - time.monotonic(), 0.0)

    def open(self, addresses: list[str]) -> None:
        """Connect to the first address that answers, and await the greeting."""
        self._addresses = addresses
        # smtplib verifies the certificate of STARTTLS against this name.
        self._host = self._account.host
        _expect(self.connect(self._account.host, self._account.port), "greeting")

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # Kept as `sock` at once, so that a handshake without end can be cut, too.
        self.sock = _first_open(self._addresses, port, timeout)
        if self._account.security == "tls":
            wrapped = self._tls.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
            self.sock = wrapped
            wrapped.do_handshake()
        return self.sock

    def getreply(self) -> tuple[int, bytes]:
        """The next reply; a server that never stops talking is hung up on."""
        if self.file is None and self.sock is not None:
            self.file: Any = _Bounded(self.sock.makefile("rb"), self)
        return super().getreply()

    def hear(self, count: int) -> None:
        """Count what was heard."""
        self._heard += count
        if self._heard > _MOST_BYTES or not self.seconds_left:
            raise OSError("the server says too much")

    def cut(self) -> None:
        """Break the connection off, from another thread."""
        with suppress(OSError, AttributeError, TypeError):
            # Not SSLSocket's own: that would go on unencrypted.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # type: ignore[arg-type]

    def leave(self) -> None:
        """Say goodbye; whatever comes of it, the mail was taken."""
        with suppress(OSError, smtplib.SMTPException):
            self.quit()

    def drop(self) -> None:
        """Close the connection, whatever state it is in."""
        with suppress(OSError):
            self.close()


def _first_open(addresses: list[str], port: int, timeout: float) -> socket.socket:
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout)
    return socket.create_connection((addresses[-1], port), timeout)


class _Bounded:
    """A reader of lines that counts."""

    def __init__(self, file: io.BufferedReader, client: _Client) -> None:
        self._file, self._client = file, client

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._client.hear(len(line))
        return line

    def close(self) -> None:
        self._file.close()


def _hand_over(client: _Client, sender: str, to: str, raw: bytes, options: list[str]) -> None:
    with _before_the_mail():
        size = [f"SIZE={len(raw)}"] if client.has_extn("size") else []
        _expect(client.mail(sender, [*size, *options]), "mail")
        _expect(client.rcpt(to), "rcpt")
        code, said = client.docmd("data")
        if code != 354:
            raise _replied("data", code, said)
        # If this raises, the final dot did not go out.
        client.send(_as_data(raw))
    try:
        # Servers look at a mail before they take it, which may be long (RFC 5321, 4.5.3.2.6).
        if client.sock is not None:
            client.sock.settimeout(max(client.seconds_left, 1.0))
        reply = client.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderSilent(f"smtp_{type(error).__name__}") from error
    if not 200 <= reply[0] < 300 and not 400 <= reply[0] < 600:
        raise ProviderSilent(f"smtp_answer_{max(reply[0], 0)}")
    _expect(reply, "answer")


def _as_data(raw: bytes) -> bytes:
    """With dots doubled where a line begins with one, and the dot that ends it (RFC 5321, 4.5.2)."""
    ended = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", ended) + b".\r\n"


@contextmanager
def _before_the_mail() -> Iterator[None]:
    """Whatever fails in here, no mail was taken."""
    try:
        yield
    except ProviderError:
        raise
    except smtplib.SMTPResponseException as error:
        raise _replied("session", error.smtp_code, error.smtp_error) from error
    except ssl.SSLCertVerificationError as error:
        raise ProviderUnavailable("smtp_certificate_refused") from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # ValueError: what should have been base64 was not.
        raise ProviderUnavailable(f"smtp_{type(error).__name__}") from error


@contextmanager
def _cut_in_time(client: _Client) -> Iterator[None]:
    """End the conversation when its time is up: a socket's timeout is only ever about one read or write."""
    timer = threading.Timer(client.seconds_left, client.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _expect(reply: tuple[int, bytes], step: str) -> None:
    code, said = reply
    if not 200 <= code < 300:
        raise _replied(step, code, said)


def _replied(step: str, code: int, said: object) -> ProviderError:
    found = _ENHANCED.match(said) if isinstance(said, bytes) else None
    reason = f"smtp_{step}_{max(code, 0)}" + (f" {found[0].decode('ascii')}" if found else "")
    # RFC 5321, 4.2.1: 4yz asks for another attempt, 5yz for none. Nothing was taken either way.
    return ProviderRefused(reason) if 500 <= code < 600 else ProviderUnavailable(reason)
