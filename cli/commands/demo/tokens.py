"""Tampering with a token, to show that it is noticed."""

import base64
import json


def with_claims(token: str, **claims: str) -> str:
    """The JWT with some claims replaced and its old signature kept."""
    header, payload, signature = token.split(".")
    body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps({**body, **claims}).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"
