"""A mail server with TLS, as a garage's own: mails it takes are delivered to the inbox page.

It listens twice, with TLS from the first byte and with STARTTLS, and takes mail only over TLS and from
whoever signed in: with any name, and any password but one that begins with `wrong`. A recipient
`fail-550@…` (or another reply code) is refused with it; one `silent@…` gets the mail, and its sender no
answer.
"""

import asyncio
import email.policy
import re
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from devstack.certificates import Certificates
from devstack.config import HOST
from devstack.sandbox.faults import Fault
from devstack.sandbox.store import Attachment
from devstack.sandbox.world import Sandbox

MAX_BYTES = 20 * 1024 * 1024
_FAIL = re.compile(r"fail-([45]\d\d)@")
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]+\.[a-z]{2,}", re.IGNORECASE)
_REQUIRED = ("From", "Date", "Message-ID")


@asynccontextmanager
async def served(sandbox: Sandbox) -> AsyncIterator[None]:
    """Both servers, for as long as the block runs; none when their ports are not chosen."""
    config = sandbox.config
    if not config.smtp_tls_port or not config.smtp_starttls_port:
        yield
        return
    certificates = Certificates(config.data_dir / "tls")
    certificates.make()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: _protocol(sandbox, None), HOST, config.smtp_tls_port, ssl=context),
        await loop.create_server(lambda: _protocol(sandbox, context), HOST, config.smtp_starttls_port),
    ]
    try:
        yield
    finally:
        for server in servers:
            server.close()


def _protocol(sandbox: Sandbox, starttls: ssl.SSLContext | None) -> SMTP:
    return SMTP(
        _Handler(sandbox),
        hostname="localhost",
        ident="Autexor local stack",
        data_size_limit=MAX_BYTES,
        enable_SMTPUTF8=True,
        tls_context=starttls,
        require_starttls=starttls is not None,
        # It knows of STARTTLS alone; without a context of its own the socket is encrypted already.
        auth_require_tls=starttls is not None,
        authenticator=_sign_in,
        timeout=60,
        loop=asyncio.get_running_loop(),
    )


def _sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and data.login and not data.password.startswith(b"wrong")
    return AuthResult(success=bool(is_right))


class _Handler:
    """aiosmtpd calls these by their names; each gives the reply."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._fault: Fault | None = None

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if not _ADDRESS.fullmatch(address):
            return "553 5.1.7 The address of the sender is not valid"
        self._fault = self._sandbox.faults.of_call("smtp")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if found := _FAIL.match(address):
            return f"{found[1]} {found[1][0]}.1.1 <{address}>: the sandbox was asked to fail"
        if not _ADDRESS.fullmatch(address):
            return f"553 5.1.3 <{address}> is not a valid address"
        if address.startswith("silent@"):
            self._fault = Fault("smtp", "silent")
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault, self._fault = self._fault, None
        if fault and fault.kind == "timeout":
            await asyncio.sleep(fault.seconds)
            return _dropped(server)
        if fault and fault.status:
            return f"{fault.status} {str(fault.status)[0]}.3.0 The sandbox was asked to fail"
        content = envelope.original_content or b""
        message = message_from_bytes(content, _class=EmailMessage, policy=email.policy.default)
        if missing := [name for name in _REQUIRED if name not in message]:
            return f"550 5.6.0 The mail has no {missing[0]} (RFC 5322, 3.6)"
        delivery_id = uuid.uuid4().hex[:22]
        files = [_attachment(part) for part in message.iter_attachments()]
        self._sandbox.store.add(delivery_id, "email", _content(message, envelope), files)
        if fault and fault.kind == "silent":
            return _dropped(server)
        return f"250 2.0.0 OK: queued as {delivery_id}"


def _dropped(server: SMTP) -> str:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    return "421 4.3.0 Nobody hears this"


def _content(message: EmailMessage, envelope: Envelope) -> dict[str, Any]:
    parts = {kind: message.get_body([kind]) for kind in ("plain", "html")}
    texts = {kind: part.get_content() if part else None for kind, part in parts.items()}
    sender = _people(message, "From")
    known = {person["email"]: person for person in _people(message, "To")}
    return {
        "from": sender[0] if sender else None,
        "to": [known.get(address, {"email": address}) for address in envelope.rcpt_tos],
        "subject": str(message.get("Subject", "")),
        "text": texts["plain"],
        "html": texts["html"],
        "headers": {name: str(value) for name, value in message.items()},
        "provider": "smtp",
    }


def _people(message: EmailMessage, header: str) -> list[dict[str, str]]:
    found = getaddresses([str(value) for value in message.get_all(header, [])])
    return [{"email": address, "name": name} for name, address in found]


def _attachment(part: Any) -> Attachment:
    return Attachment(
        part.get_filename() or "attachment", part.get_content_type(), part.get_payload(decode=True) or b""
    )
