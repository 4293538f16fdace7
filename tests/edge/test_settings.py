import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from pydantic import ValidationError

from workers.edge.client_address import client_address
from workers.edge.settings import EdgeSettings

ReadSettings = Callable[..., EdgeSettings]
KEY = {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True), "kid": "now"}
GOOD = {
    "environment": "production",
    "portal_pepper": "ab" * 32,
    "edge_database_url": "postgresql://edge:canary-password@db/postgres",
    "supabase_url": "https://project.supabase.co/",
    "anon_key": "anon",
    "portal_signing_keys": json.dumps({"keys": [KEY]}),
    "edge_port": "8001",
    "portal_origins": "https://portal.autexor.be",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ReadSettings:
    def read(**changes: str) -> EdgeSettings:
        for name, value in (GOOD | changes).items():
            monkeypatch.setenv(f"AUTEXOR_{name.upper()}", value)
        return EdgeSettings.model_validate({})

    return read


def test_settings_come_from_the_environment(settings: ReadSettings) -> None:
    read = settings(trusted_proxies="127.0.0.1, 10.0.0.0/8", portal_origins="https://a.test, https://b.test")
    assert read.supabase_url == "https://project.supabase.co"
    assert [str(network) for network in read.trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert read.portal_origins == ("https://a.test", "https://b.test")
    assert settings(trusted_proxies="").trusted_proxies == ()


@pytest.mark.req("S4")
def test_whoever_reaches_the_loopback_is_our_own_proxy(settings: ReadSettings) -> None:
    by_default = settings().trusted_proxies
    assert client_address("127.0.0.1", ["198.51.100.1"], by_default) == "198.51.100.1"
    assert client_address("::1", ["198.51.100.1"], by_default) == "198.51.100.1"
    assert client_address("192.0.2.1", ["198.51.100.1"], by_default) == "192.0.2.1"


@pytest.mark.parametrize(
    "origins", [None, "", "*", "https://*.autexor.be", "http://a.test", "https://a.test/"]
)
def test_only_the_local_stack_answers_pages_of_any_origin(
    settings: ReadSettings, monkeypatch: pytest.MonkeyPatch, origins: str | None
) -> None:
    monkeypatch.delitem(GOOD, "portal_origins")
    changes = {} if origins is None else {"portal_origins": origins}
    with pytest.raises(ValidationError, match="portal_origins"):
        settings(**changes)
    assert settings(environment="devstack", portal_origins="").portal_origins == ("*",)
    assert settings(environment="devstack", portal_origins="*").portal_origins == ("*",)


@pytest.mark.req("P3")
def test_secrets_do_not_show_in_settings(settings: ReadSettings) -> None:
    shown = repr(settings())
    assert "8001" in shown
    assert "canary" not in shown
    assert "abab" not in shown
    assert KEY["d"] not in shown


@pytest.mark.req("P5")
def test_unusable_signing_keys_are_refused_without_being_repeated(settings: ReadSettings) -> None:
    for text in ("canary", "{}", json.dumps({"keys": [KEY, KEY]})):
        with pytest.raises(ValidationError, match="portal_signing_keys") as refused:
            settings(portal_signing_keys=text)
        assert "canary" not in str(refused.value)
        assert KEY["d"] not in str(refused.value)


@pytest.mark.req("S1")
def test_plain_http_is_for_this_machine_in_the_local_stack_only(settings: ReadSettings) -> None:
    assert settings(environment="devstack", supabase_url="http://127.0.0.1:54321").supabase_url
    for environment, url in [
        ("production", "http://127.0.0.1:54321"),
        ("production", "http://project.supabase.co"),
        ("devstack", "http://project.supabase.co"),
        ("devstack", "ftp://127.0.0.1"),
    ]:
        with pytest.raises(ValidationError, match="supabase_url"):
            settings(environment=environment, supabase_url=url)


@pytest.mark.req("P4")
def test_a_short_pepper_is_for_the_local_stack_only(settings: ReadSettings) -> None:
    assert settings(environment="devstack", portal_pepper="6465767374616b").peppers == {"": b"devstak"}
    for pepper in ("6465767374616b", "zz" * 32, ""):
        with pytest.raises(ValidationError, match="portal_pepper") as refused:
            settings(portal_pepper=pepper)
        assert "6465767374616b" not in str(refused.value)


@pytest.mark.req("P4")
def test_several_peppers_have_ids_and_keep_their_order(settings: ReadSettings) -> None:
    read = settings(portal_pepper=f"p2:{'cd' * 32}, {'ab' * 32}")
    assert list(read.peppers.items()) == [("p2", b"\xcd" * 32), ("", b"\xab" * 32)]
    for odd in (f"{'ab' * 32},{'cd' * 32}", f"P2:{'ab' * 32}", f"a#b:{'ab' * 32}", f"p2:{'ab' * 32},p1:abcd"):
        with pytest.raises(ValidationError, match="portal_pepper") as refused:
            settings(portal_pepper=odd)
        assert "abab" not in str(refused.value)


@pytest.mark.req("P6")
def test_proofs_name_the_projects_own_address_unless_another_is_given(settings: ReadSettings) -> None:
    assert settings().public_urls == ("https://project.supabase.co/functions/v1",)
    given = settings(portal_api_urls="https://portal.autexor.be/functions/v1/, https://b.test/x")
    assert given.public_urls == ("https://portal.autexor.be/functions/v1", "https://b.test/x")


@pytest.mark.parametrize("port", ["0", "65536", "web"])
def test_the_port_is_given(settings: ReadSettings, port: str) -> None:
    with pytest.raises(ValidationError, match="edge_port"):
        settings(edge_port=port)
