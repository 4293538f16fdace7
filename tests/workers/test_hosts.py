import pytest

from workers.core.errors import HostRefused
from workers.core.hosts import register_for

PRODUCTION = register_for("production", "https://project.supabase.co")
DEVSTACK = register_for("devstack", "http://127.0.0.1:54321")


@pytest.mark.req("S1", "G4")
@pytest.mark.parametrize(
    "url",
    [
        "http://api.sendgrid.com",
        "ftp://api.sendgrid.com",
        "https://api.sendgrid.com.evil.test",
        "https://api.sendgrid.com@evil.test",
        "https://127.0.0.1:8000",
        "http://localhost",
        "https://other.supabase.co",
        "api.sendgrid.com",
        "",
    ],
)
def test_production_calls_registered_hosts_over_https_alone(url: str) -> None:
    with pytest.raises(HostRefused):
        PRODUCTION.check(url)


@pytest.mark.req("S1", "G4")
def test_registered_hosts_are_called() -> None:
    for url in ("https://api.sendgrid.com", "https://exp.host/", "https://project.supabase.co"):
        assert PRODUCTION.check(url) == url.rstrip("/")


@pytest.mark.req("S1")
def test_plain_http_is_for_the_local_stack_on_loopback_only() -> None:
    assert DEVSTACK.check("http://127.0.0.1:54321/sandbox/expo") == "http://127.0.0.1:54321/sandbox/expo"
    for url in ("http://192.168.1.5:54321", "http://api.sendgrid.com", "http://127.0.0.1.evil.test"):
        with pytest.raises(HostRefused):
            DEVSTACK.check(url)


def test_a_loopback_supabase_is_no_production_host() -> None:
    with pytest.raises(HostRefused):
        register_for("production", "https://localhost").check("https://localhost")
