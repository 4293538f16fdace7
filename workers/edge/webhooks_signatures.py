"""Is a webhook really from the provider? Signatures over the body as it came, and how old it may be.

SendGrid: ECDSA on P-256 over timestamp and body ("Getting started with the Event Webhook security
features"). Twilio: HMAC-SHA1 over the address and the sorted form, or over an address that holds the
body's hash when the body is JSON ("Webhooks security").
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from functools import cache
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from starlette.datastructures import QueryParams
from twilio.request_validator import RequestValidator, add_port, remove_port

# SendGrid tries for 24 hours to hand a batch over, and does not say that it signs each try anew. What is
# told twice has one effect, so the window bounds what an old batch could do once its events are forgotten.
MAX_AGE_SECONDS = 25 * 3600
MAX_AHEAD_SECONDS = 300
_MAX_SIGNATURE = 256


def is_fresh(timestamp: str, now: float) -> bool:
    """Whether a timestamp (seconds since 1970) is near enough to `now`."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return -MAX_AHEAD_SECONDS <= now - int(timestamp) <= MAX_AGE_SECONDS


def sendgrid_signed(public_key: str | None, signature: str, timestamp: str, body: bytes) -> bool:
    """Whether the holder of the key signed this; None stands for nobody, and takes as long."""
    key = sendgrid_key(public_key) if public_key else None
    try:
        der = base64.b64decode(signature[:_MAX_SIGNATURE], validate=True)
        (key or _nobodys_key()).verify(der, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return key is not None


def sendgrid_key(text: str) -> ec.EllipticCurvePublicKey | None:
    """The verification key as SendGrid shows it: base64 of DER, or PEM; None for what is no such key."""
    text = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    is_ours = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_ours else None  # type: ignore[return-value]


def twilio_signed(token: str | None, signature: str, url: str, form: QueryParams | bytes) -> bool:
    """Whether the account's token signed this address and form, or JSON body; None stands for nobody."""
    validator = RequestValidator(token or _NOBODYS_TOKEN)
    is_whole = True
    if isinstance(form, bytes):
        stated = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
        is_whole = hmac.compare_digest(stated.encode(), hashlib.sha256(form).hexdigest().encode())
        form = QueryParams()
    # Twilio signs some addresses with their port and some without.
    parts = urlsplit(url)
    signed = [
        hmac.compare_digest(validator.compute_signature(each, form).encode(), signature.encode())
        for each in (add_port(parts), remove_port(parts))
    ]
    return any(signed) and is_whole and token is not None


_NOBODYS_TOKEN = secrets.token_hex(16)


@cache
def _nobodys_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()
