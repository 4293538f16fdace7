"""What the workers are told from outside. Read once, in `workers.__main__`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.core.errors import HostRefused
from workers.core.hosts import Environment, register_for
from workers.core.jobs import QUEUES, QueueName
from workers.core.logs import LogFormat


class WorkerSettings(BaseSettings):
    """Everything the worker loop needs, from AUTEXOR_* in the environment. Raises ValidationError."""

    model_config = SettingsConfigDict(env_prefix="AUTEXOR_", hide_input_in_errors=True)

    environment: Environment = "production"
    database_url: SecretStr
    supabase_url: str
    service_role_key: SecretStr
    sendgrid_api_key: SecretStr
    sendgrid_url: str = "https://api.sendgrid.com"
    expo_url: str = "https://exp.host"
    twilio_url: str = "https://api.twilio.com"
    # Where providers reach the edge with what became of messages; the project's own functions when not given.
    edge_url: str = Field(default="", validate_default=True)
    smtp_ca_file: str = ""
    poll_seconds: float = Field(default=5, ge=0.1, le=300)
    portal_url: str = "https://portal.autexor.be"
    dms_url: str = "https://app.autexor.be"
    send_lanes: int = Field(default=4, ge=0, le=32)
    push_lanes: int = Field(default=2, ge=0, le=32)
    render_lanes: int = Field(default=2, ge=0, le=32)
    health_port: int = Field(default=0, ge=0, le=65535)
    health_bind: str = "127.0.0.1"
    log_format: LogFormat = "text"

    @property
    def lanes(self) -> dict[QueueName, int]:
        """How many jobs of each queue this process works on at a time; 0 leaves a queue to others.

        A queue without a setting of its own has one lane.
        """
        return {queue: getattr(self, f"{queue}_lanes", 1) for queue in QUEUES}

    @model_validator(mode="after")
    def _works(self) -> Self:
        if not any(self.lanes.values()):
            raise ValueError("no queue has a lane")
        return self

    @field_validator("supabase_url", "sendgrid_url", "expo_url", "twilio_url")
    @classmethod
    def _registered(cls, value: str, info: ValidationInfo) -> str:
        supabase_url = value if info.field_name == "supabase_url" else info.data.get("supabase_url", "")
        try:
            return register_for(info.data.get("environment", "production"), supabase_url).check(value)
        except HostRefused as refused:
            raise ValueError(refused.reason) from None

    @field_validator("edge_url")
    @classmethod
    def _called_back(cls, value: str, info: ValidationInfo) -> str:
        return cls._linkable(value, info) if value else f"{info.data.get('supabase_url', '')}/functions/v1"

    @field_validator("smtp_ca_file")
    @classmethod
    def _local(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("environment") != "devstack":
            raise ValueError("only the local stack trusts an authority of its own")
        return value

    @field_validator("portal_url", "dms_url")
    @classmethod
    def _linkable(cls, value: str, info: ValidationInfo) -> str:
        schemes = ("https://", "http://") if info.data.get("environment") == "devstack" else ("https://",)
        if not value.startswith(schemes):
            raise ValueError("the address must begin with https://")
        return value.rstrip("/")
