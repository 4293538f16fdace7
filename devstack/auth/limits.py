"""Rate limits: a token bucket for each kind of request and each address."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from devstack.auth.errors import AuthError
from devstack.auth.settings import RateLimits

BURST = 30
FIVE_MINUTES = 300.0
HOUR = 3600.0


@dataclass
class Limiter:
    """The buckets of one service. Only a proxy tells the address; without it nothing is limited."""

    limits: RateLimits
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def refresh(self, request: Request) -> None:
        """Count a request for a token. Raises AuthError."""
        self._take("token", request, self.limits.token_refresh / FIVE_MINUTES)

    def verify(self, request: Request) -> None:
        """Count a verification. Raises AuthError."""
        self._take("verify", request, self.limits.token_verifications / FIVE_MINUTES)

    def sign_up(self, request: Request) -> None:
        """Count a sign-up, or another request that sends a mail. Raises AuthError."""
        kind = request.scope["path"].rsplit("/", 1)[-1]
        self._take(kind, request, self.limits.sign_in_sign_ups / FIVE_MINUTES)

    def anonymous(self, request: Request) -> None:
        """Count an anonymous sign-in. Raises AuthError."""
        self._take("anonymous", request, self.limits.anonymous_users / HOUR)

    def _take(self, kind: str, request: Request, rate: float) -> None:
        address = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
        if not address:
            return
        now = self.clock()
        left, since = self._buckets.get((kind, address), (float(BURST), now))
        left = min(float(BURST), left + (now - since) * rate)
        if left < 1:
            raise AuthError(429, "over_request_rate_limit", "Request rate limit reached")
        self._buckets[kind, address] = left - 1, now


def check_frequency(sent_at: datetime | None, interval: timedelta) -> None:
    """Refuse another mail of one kind to one user within the interval. Raises AuthError."""
    left = sent_at + interval - datetime.now(UTC) if sent_at else timedelta()
    if left > timedelta():
        seconds = math.ceil(left.total_seconds())
        message = f"For security purposes, you can only request this after {seconds} seconds."
        raise AuthError(429, "over_email_send_rate_limit", message)
