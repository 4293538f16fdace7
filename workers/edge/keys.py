"""The portal's signing keys, as they are handed in: a JWK set (RFC 7517) whose first key signs."""

import secrets
from typing import Any, Literal, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class SigningKey(BaseModel):
    """A P-256 JWK. One without `d` is retired: it verifies and is published, no more."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kty: Literal["EC"]
    crv: Literal["P-256"]
    kid: str = Field(min_length=1)
    x: str
    y: str
    d: SecretStr | None = None

    @model_validator(mode="after")
    def _usable(self) -> Self:
        try:
            self.verifying()
            if self.d is not None:
                self.signing()
        except jwt.PyJWTError:
            raise ValueError("is not a key on P-256") from None
        return self

    def public(self) -> dict[str, str]:
        """Return the half that may be published."""
        parts = {"kty": self.kty, "crv": self.crv, "kid": self.kid, "x": self.x, "y": self.y}
        return parts | {"alg": "ES256", "use": "sig"}

    def private(self) -> dict[str, str]:
        """Return everything, for the one file that keeps it."""
        return self.public() | ({"d": self.d.get_secret_value()} if self.d else {})

    def retired(self) -> "SigningKey":
        """Return the key without what signs."""
        return self.model_copy(update={"d": None})

    def verifying(self) -> Any:
        """Return the public key, as pyjwt wants it."""
        return jwt.PyJWK(self.public()).key

    def signing(self) -> Any:
        """Return the private key, as pyjwt wants it. Raises ValueError for a retired one."""
        if self.d is None:
            raise ValueError("a retired key cannot sign")
        return jwt.PyJWK(self.public() | {"d": self.d.get_secret_value()}).key


class SigningKeys(BaseModel):
    """`{"keys": [JWK, …]}`: the first one signs, all of them verify and are published."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    keys: tuple[SigningKey, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _first_can_sign(self) -> Self:
        if self.keys[0].d is None:
            raise ValueError("the first key must hold its private part (d)")
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("every key needs a kid of its own")
        return self


def new_signing_key() -> SigningKey:
    """Return a new private key under a random kid."""
    jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return SigningKey.model_validate({"kid": secrets.token_hex(8), **jwk})
