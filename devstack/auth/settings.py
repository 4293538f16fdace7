"""What `supabase/config.toml` says about Auth; where it says nothing, what the Supabase CLI takes."""

import re
import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"([0-9.]+)(ms|h|m|s)")


@dataclass(frozen=True)
class RateLimits:
    """Requests per address and five minutes (anonymous sign-ins: per hour)."""

    anonymous_users: int = 30
    token_refresh: int = 150
    sign_in_sign_ups: int = 30
    token_verifications: int = 30


@dataclass(frozen=True)
class AuthSettings:
    """One project's choices. Of a new project: anyone signs up, without confirming the address."""

    site_url: str = "http://127.0.0.1:3000"
    redirect_urls: tuple[str, ...] = ()
    jwt_expiry: int = 3600
    reuse_interval: timedelta = timedelta(seconds=10)
    is_signup_enabled: bool = True
    is_anonymous_enabled: bool = False
    is_email_enabled: bool = True
    minimum_password_length: int = 6
    has_confirmations: bool = False
    has_double_confirmation: bool = True
    needs_reauthentication: bool = False
    max_frequency: timedelta = timedelta(seconds=60)
    otp_length: int = 6
    otp_expiry: timedelta = timedelta(hours=1)
    rate_limits: RateLimits = field(default_factory=RateLimits)


def load(config_file: Path | None) -> AuthSettings:
    """The settings in section `[auth]` of the file; those of a new project when there is no file."""
    if config_file is None:
        return AuthSettings()
    auth = tomllib.loads(config_file.read_text()).get("auth", {})
    email = auth.get("email", {})
    # The CLI leaves sign-ups to both switches: the project's and the provider's.
    email_signup = email.get("enable_signup", True)
    given: dict[str, Any] = {
        "site_url": auth.get("site_url"),
        "redirect_urls": _optional(tuple, auth.get("additional_redirect_urls")),
        "jwt_expiry": auth.get("jwt_expiry"),
        "reuse_interval": _optional(_seconds, auth.get("refresh_token_reuse_interval")),
        "is_signup_enabled": auth.get("enable_signup"),
        "is_anonymous_enabled": auth.get("enable_anonymous_sign_ins"),
        "is_email_enabled": email_signup and email.get("enabled", True),
        "minimum_password_length": auth.get("minimum_password_length"),
        "has_confirmations": email.get("enable_confirmations"),
        "has_double_confirmation": email.get("double_confirm_changes"),
        "needs_reauthentication": email.get("secure_password_change"),
        "max_frequency": _optional(duration, email.get("max_frequency")),
        "otp_length": email.get("otp_length"),
        "otp_expiry": _optional(_seconds, email.get("otp_expiry")),
        "rate_limits": _rate_limits(auth.get("rate_limit", {})),
    }
    return AuthSettings(**{name: value for name, value in given.items() if value is not None})


def duration(text: str) -> timedelta:
    """A duration as Go writes it (`1h30m`, `24h`, `10s`). Raises ValueError."""
    if not re.fullmatch(f"({_DURATION.pattern})+", text):
        raise ValueError(f'time: invalid duration "{text}"')
    return timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(text)))


def _rate_limits(given: dict[str, Any]) -> RateLimits:
    known = RateLimits.__dataclass_fields__
    return RateLimits(**{name: value for name, value in given.items() if name in known})


def _seconds(value: int) -> timedelta:
    return timedelta(seconds=value)


def _optional(convert: Any, value: Any) -> Any:
    return None if value is None else convert(value)
