from ipaddress import ip_network

import pytest

from workers.edge.client_address import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8")]


@pytest.mark.req("P4", "S4")
@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["8.8.8.8, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["8.8.8.8", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("127.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2, "], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("fd00::1%eth0", ["198.51.100.1"], "198.51.100.1"),
        ("", ["198.51.100.1"], "0.0.0.0"),
    ],
)
def test_only_our_own_proxies_are_believed(peer: str, forwarded: list[str], expected: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


def test_without_proxies_the_header_is_the_callers_own_talk() -> None:
    assert client_address("127.0.0.1", ["198.51.100.1"], []) == "127.0.0.1"
