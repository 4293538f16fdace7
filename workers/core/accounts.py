"""The garages' own accounts with providers, as a job's payload carries them; secrets never print."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from workers.core.payload import Payload


class SendGridAccount(Payload):
    """E-mail by SendGrid; the secret is an API key that may send mail."""

    provider: Literal["sendgrid"]
    id: UUID
    secret: SecretStr


class SmtpAccount(Payload):
    """E-mail by a mail server: `tls` from the first byte, or `starttls` before anything is said."""

    provider: Literal["smtp"]
    id: UUID
    host: str
    port: int
    security: Literal["tls", "starttls"]
    username: str
    secret: SecretStr


class TwilioAccount(Payload):
    """SMS or WhatsApp by Twilio; `sender` is an E.164 number or a messaging service (MG…)."""

    provider: Literal["twilio"]
    id: UUID
    account_sid: str
    secret: SecretStr
    sender: str


MailAccount = SendGridAccount | SmtpAccount
Account = Annotated[SendGridAccount | SmtpAccount | TwilioAccount, Field(discriminator="provider")]


class Wording(Payload):
    """A garage's own words for one message: a version of its template."""

    version: int
    subject: str | None
    text: str
    html: str | None
    content_sid: str | None
