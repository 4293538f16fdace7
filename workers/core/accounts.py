"""What a garage has of its own for sending: accounts at providers, and its wording of a message."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from workers.core.payload import Payload


class SendGridAccount(Payload):
    """An account at SendGrid; the secret is its API key."""

    provider: Literal["sendgrid"]
    id: UUID
    secret: SecretStr


class SmtpAccount(Payload):
    """An account at a mail server; the secret is its password."""

    provider: Literal["smtp"]
    id: UUID
    host: str
    port: int
    security: Literal["tls", "starttls"]
    username: str
    secret: SecretStr


class TwilioAccount(Payload):
    """An account at Twilio; `sender` is a number in E.164 or a messaging service (MG…)."""

    provider: Literal["twilio"]
    id: UUID
    account_sid: str
    secret: SecretStr
    sender: str


MailAccount = SendGridAccount | SmtpAccount
Account = Annotated[MailAccount | TwilioAccount, Field(discriminator="provider")]


class Wording(Payload):
    """A garage's own template of one kind, channel and language; `content_sid` is WhatsApp's approved one."""

    version: int
    subject: str | None
    text: str
    html: str | None
    content_sid: str | None
