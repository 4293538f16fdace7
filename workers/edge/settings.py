"""What the edge is told from outside. Read once, in `workers.edge.app.main`."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, Json, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from workers.core.errors import HostRefused
from workers.core.hosts import Environment, register_for
from workers.edge.keys import SigningKeys
from workers.edge.webhooks_signatures import sendgrid_key

PORTAL_ISSUER = "https://portal.autexor.be"
"""The `iss` of every portal token; the pre-request in the database holds the same constant."""

MIN_PEPPER_BYTES = 32
LOOPBACK = (ip_network("127.0.0.1"), ip_network("::1"))

Network = IPv4Network | IPv6Network


class PepperSettings(BaseSettings):
    """The pepper alone, for `python -m workers.edge.secrets`."""

    model_config = SettingsConfigDict(env_prefix="AUTEXOR_", hide_input_in_errors=True)

    environment: Environment = "production"
    portal_pepper: SecretStr

    @field_validator("portal_pepper")
    @classmethod
    def _long_enough(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        peppers = _peppers(value.get_secret_value())
        shortest = min(len(pepper) for pepper in peppers.values())
        if info.data.get("environment") != "devstack" and shortest < MIN_PEPPER_BYTES:
            raise ValueError(f"a pepper must be at least {MIN_PEPPER_BYTES} bytes, written as hex")
        return value

    @property
    def peppers(self) -> dict[str, bytes]:
        """The peppers by their ids; the first one hashes, the others verify what was hashed before."""
        return _peppers(self.portal_pepper.get_secret_value())


class EdgeSettings(PepperSettings):
    """Everything the edge needs, from AUTEXOR_* in the environment. Raises ValidationError."""

    edge_database_url: SecretStr
    supabase_url: str
    anon_key: SecretStr
    portal_signing_keys: Annotated[Json[SigningKeys], NoDecode]
    edge_port: int = Field(ge=1, le=65535)
    # Where apps reach the edge, as their proofs name it; the project's own functions when not given.
    portal_api_urls: Annotated[tuple[str, ...], NoDecode] = ()
    # Where providers reach the edge, as their signatures name it; the project's own functions when not given.
    edge_url: str = ""
    # What the events of Autexor's own SendGrid account are verified with; without it they are refused.
    sendgrid_webhook_key: str = ""
    # The edge listens on loopback alone: whoever reaches it is a proxy of this machine.
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = LOOPBACK
    portal_origins: Annotated[tuple[str, ...], NoDecode, Field(validate_default=True)] = ()

    @field_validator("supabase_url")
    @classmethod
    def _secure_url(cls, value: str, info: ValidationInfo) -> str:
        environment = info.data.get("environment", "production")
        try:
            return register_for(environment, value).check(value)
        except HostRefused as refused:
            raise ValueError(refused.reason) from None

    @field_validator("edge_url")
    @classmethod
    def _called(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("environment") != "devstack" and not value.startswith("https://"):
            raise ValueError("the address must begin with https://")
        return value.rstrip("/")

    @field_validator("sendgrid_webhook_key")
    @classmethod
    def _verifies(cls, value: str) -> str:
        if value and sendgrid_key(value) is None:
            raise ValueError("is not the verification key of a signed event webhook")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(ip_network(part) for part in _split(value)) if isinstance(value, str) else value

    @field_validator("portal_origins", "portal_api_urls", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("portal_origins")
    @classmethod
    def _named(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("environment") == "devstack":
            return value or ("*",)
        if not value or not all(re.fullmatch(r"https://[^/*\s]+", origin) for origin in value):
            raise ValueError("name the origins of the portal, as https://host, with commas between them")
        return value

    @property
    def webhook_url(self) -> str:
        """The address that `/webhooks/…` is reached at, without a slash at the end."""
        return self.edge_url or f"{self.supabase_url}/functions/v1"

    @property
    def public_urls(self) -> tuple[str, ...]:
        """The addresses that `/portal/…` is reached at, without a slash at the end."""
        urls = self.portal_api_urls or (f"{self.supabase_url}/functions/v1",)
        return tuple(url.rstrip("/") for url in urls)


def _peppers(text: str) -> dict[str, bytes]:
    """Read `id:hex,id:hex`; a pepper without an id is the one before there were ids."""
    found: dict[str, bytes] = {}
    for part in text.split(","):
        pepper_id, _, digits = part.strip().rpartition(":")
        if not re.fullmatch("[a-z0-9]{0,16}", pepper_id) or pepper_id in found:
            raise ValueError("every pepper needs an id of its own: small letters and digits")
        found[pepper_id] = bytes.fromhex(digits)
    return found


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())
