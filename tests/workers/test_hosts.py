import pytest

from workers.core.errors import HostRefused
from workers.core.hosts import MailHosts, register_for

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
    for url in (
        "https://api.sendgrid.com",
        "https://exp.host/",
        "https://api.twilio.com",
        "https://project.supabase.co",
    ):
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


MAIL = MailHosts()


@pytest.mark.req("S1", "G4", "D10")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "mail",
        "mail.localhost",
        "printer.local",
        "metadata.google.internal",
        "mail.test",
        "10.0.0.1",
        "0x7f.1",
        "mail.0x7f000001",
        "2130706433",
        "[::1]",
        "::1",
        "-mail.example.com",
        "mail..example.com",
        "mail.example.com.",
        "mail.example.com\r\nEHLO",
        "mail.example.com@evil.example",
        "mäil.example.com",
        "a" * 64 + ".example.com",
        "",
    ],
)
@pytest.mark.parametrize("port", [465, 587])
def test_a_garage_cannot_name_a_mail_server_that_may_be_ours(host: str, port: int) -> None:
    with pytest.raises(HostRefused, match=r"^smtp_host_not_public$"):
        MAIL.check(host, port)


@pytest.mark.req("S1", "D10")
def test_mail_goes_to_public_names_at_the_ports_of_submission() -> None:
    for port in (465, 587):
        MAIL.check("smtp.example.com", port)
        MAIL.check("mail-1.xn--mnchen-3ya.example", port)
    for port in (0, 22, 25, 80, 443, 2525, 5432, 54321):
        with pytest.raises(HostRefused, match=r"^smtp_port_not_allowed$"):
            MAIL.check("smtp.example.com", port)


@pytest.mark.req("S1", "G4", "D10")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "nonsense",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_not_called(address: str) -> None:
    assert not MAIL.may_connect(address)


@pytest.mark.req("D10")
def test_public_addresses_are_called() -> None:
    for address in ("8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert MAIL.may_connect(address), address


@pytest.mark.req("S1")
def test_the_local_stack_may_call_its_own_mail_server_and_no_other_machine() -> None:
    local = MailHosts(allows_loopback=True)
    local.check("127.0.0.1", 40123)
    assert local.may_connect("127.0.0.1") and local.may_connect("::1")
    assert not local.may_connect("192.168.1.1")
    for host in ("192.168.1.1", "127.0.0.2", "10.0.0.1"):
        with pytest.raises(HostRefused):
            local.check(host, 587)
