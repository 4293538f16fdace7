"""A mail as the bytes that a mail server gets (RFC 5322, MIME), in which no value can become a header."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage, Message
from email.policy import SMTP, SMTPUTF8, Policy
from email.utils import format_datetime
from uuid import UUID

from workers.core.errors import ProviderRefused
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail, opt_out_headers
from workers.ports import MailFile

# What may stand in an envelope: stricter than RFC 5321, whose quoted forms nobody uses.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x20\x7f]{1,64}@[^\s@<>()\[\]\\,;:\"\x00-\x20\x7f]{1,253}")
_LONGEST_TEXT = 400

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class _Verbatim(UnstructuredHeader, BaseHeader):
    """One ASCII word on one line, where folding would make encoded words of it (RFC 2369 has none)."""

    def fold(self, *, policy: Policy[Message]) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Verbatim)


def addressed(address: str) -> str:
    """An address as servers take it, its domain in ASCII (RFC 5891); raises ProviderRefused."""
    if not _ADDRESS.fullmatch(address):
        raise ProviderRefused("smtp_address_invalid")
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise ProviderRefused("smtp_address_invalid") from None


def message_id(sender: Sender, reference: UUID) -> str:
    """The same for every attempt at one communication, so that a mail sent twice can be known as one."""
    return f"{reference}@{addressed(sender.address).rpartition('@')[2]}"


def mail_bytes(
    mail: Mail,
    to: Recipient,
    sender: Sender,
    file: MailFile | None,
    reference: UUID,
    *,
    is_utf8: bool = False,
) -> bytes:
    """The mail with its file; `is_utf8` when an address needs SMTPUTF8 (RFC 6531).

    Raises ProviderRefused for what cannot be written without becoming something else.
    """
    policy = (SMTPUTF8 if is_utf8 else SMTP).clone(header_factory=_HEADERS)
    message = EmailMessage(policy=policy)
    message["From"] = _person(sender.name, sender.address)
    message["To"] = _person(to.name, to.address)
    message["Reply-To"] = _person(sender.name, sender.reply_to)
    message["Subject"] = _line(mail.subject)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{message_id(sender, reference)}>"
    # Keeps holiday notices away (RFC 3834, 5).
    message["Auto-Submitted"] = "auto-generated"
    for name, value in opt_out_headers(mail).items():
        message[name] = value
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    if file is not None:
        kind, _, subkind = file.media_type.partition("/")
        message.add_attachment(file.content, kind, subkind, filename=_line(file.filename))
    raw = message.as_bytes(policy=policy)
    _expect_no_more_headers(message, raw)
    return raw


def _person(name: str, address: str) -> Address:
    local, _, domain = addressed(address).rpartition("@")
    return Address(_line(name), local, domain)


def _line(text: str) -> str:
    """One line without control characters; "=?" would open an encoded word, which may hold line breaks."""
    # One long word cannot be folded, and a line ends after 998 characters (RFC 5322, 2.1.1).
    return " ".join(_CONTROL.sub(" ", text).split()).replace("=?", "= ?")[:_LONGEST_TEXT]


def _expect_no_more_headers(message: EmailMessage, raw: bytes) -> None:
    """A second lock: what was written must read as the headers that were set, and as no other."""
    if message_from_bytes(raw).keys() != message.keys():
        raise ProviderRefused("smtp_header_invalid")
