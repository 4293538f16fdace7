"""Whose request is it? The network address that limits and logs are kept by."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from workers.edge.settings import Network


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the caller's address: `peer`, or what proxies we trust say of it.

    `forwarded_for` are the X-Forwarded-For header's values in order. They count only when the peer is
    trusted, and then from the right: each proxy appends the address it saw, so the first one that is
    not ours is the last that cannot be invented by the caller.
    """
    address = _parse(peer)
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and address is not None and _is_trusted(address, trusted):
        previous = _parse(hops.pop())
        if previous is None:
            break
        address = previous
    return str(address) if address is not None else "0.0.0.0"


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
