"""Signs webhooks as the providers do, by their manuals and without our own code."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class SendGridSigner:
    """A signed event webhook's key pair."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def public_key(self) -> str:
        """As SendGrid's settings show it."""
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def headers(self, body: bytes, timestamp: float | str | None = None) -> dict[str, str]:
        """The headers of one post."""
        stamp = str(int(time.time())) if timestamp is None else str(timestamp)
        signature = self.private.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "content-type": "application/json",
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": stamp,
        }


def batch(*events: dict[str, Any]) -> bytes:
    """A body as SendGrid writes it: with line ends between the events."""
    return b"[" + b",\r\n".join(json.dumps(event).encode() for event in events) + b"]\r\n"


def twilio_signature(token: str, url: str, form: dict[str, str] | None = None) -> str:
    """X-Twilio-Signature over the address and the sorted form."""
    said = url + "".join(name + value for name, value in sorted((form or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def twilio_form(form: dict[str, str]) -> bytes:
    """A body as Twilio writes it."""
    return urlencode(form).encode()
