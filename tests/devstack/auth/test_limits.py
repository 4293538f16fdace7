"""Rate limits: by the address that a proxy tells."""

from starlette.requests import Request

from devstack.auth.errors import AuthError
from devstack.auth.limits import BURST, Limiter
from devstack.auth.settings import RateLimits, duration, load
from devstack.config import CONFIG_FILE
from tests.devstack.auth.steps import Service, refusal


def _request(address: str) -> Request:
    headers = [(b"x-forwarded-for", address.encode())] if address else []
    return Request({"type": "http", "path": "/auth/v1/otp", "headers": headers})


def _is_refused(limiter: Limiter, address: str) -> bool:
    try:
        limiter.verify(_request(address))
    except AuthError as error:
        return error.code == "over_request_rate_limit"
    return False


def test_a_bucket_empties_and_fills_again() -> None:
    now = [0.0]
    limiter = Limiter(RateLimits(token_verifications=30), clock=lambda: now[0])
    assert [_is_refused(limiter, "10.0.0.1") for _ in range(BURST + 1)] == [False] * BURST + [True]
    assert not _is_refused(limiter, "10.0.0.2")
    now[0] = 10.0  # 30 in five minutes are one in ten seconds
    assert not _is_refused(limiter, "10.0.0.1")
    assert _is_refused(limiter, "10.0.0.1")


def test_without_an_address_nothing_is_limited() -> None:
    limiter = Limiter(RateLimits())
    assert not any(_is_refused(limiter, "") for _ in range(BURST + 5))


def test_the_refusal_has_the_shape_of_any_other(service: Service) -> None:
    headers = {"x-forwarded-for": "10.0.0.9, 10.0.0.1"}
    answers = [service.post("/verify", {}, headers=headers) for _ in range(BURST + 2)]
    assert answers[0].status_code == 400
    assert refusal(answers[-1]) == (429, "over_request_rate_limit")
    assert answers[-1].json()["msg"] == "Request rate limit reached"


def test_the_settings_of_the_product_are_read() -> None:
    product, fresh = load(CONFIG_FILE), load(None)
    assert (product.is_signup_enabled, product.has_confirmations) == (False, True)
    assert (product.minimum_password_length, fresh.minimum_password_length) == (12, 6)
    assert duration("1h30m10s").total_seconds() == 5410
