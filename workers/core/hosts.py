"""Where workers may connect to: the register of outgoing hosts (the subprocessors) and the https rule."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from workers.core.errors import HostRefused

Environment = Literal["production", "devstack"]

SENDGRID_HOST = "api.sendgrid.com"
EXPO_HOST = "exp.host"
TWILIO_HOST = "api.twilio.com"
# Submission with TLS from the first byte, and with STARTTLS (RFC 8314; RFC 6409). Port 25 is for relays.
MAIL_PORTS = frozenset({465, 587})
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class HostRegister:
    """The hosts a process may call; `allows_loopback` is true in the local stack alone."""

    hosts: frozenset[str]
    allows_loopback: bool = False

    def check(self, url: str) -> str:
        """The address without its trailing slash; raises HostRefused when it may not be called."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if self.allows_loopback and host in LOOPBACK_HOSTS and parts.scheme in ("http", "https"):
            return url.rstrip("/")
        if parts.scheme != "https":
            raise HostRefused(f"only https is allowed outside the local stack: {parts.scheme}://{host}")
        if host not in self.hosts:
            raise HostRefused(f"{host} is not in the register of outgoing hosts")
        return url.rstrip("/")


def register_for(environment: Environment, supabase_url: str) -> HostRegister:
    """The register of one installation: the providers, and its own Supabase host."""
    host = urlsplit(supabase_url).hostname or ""
    return HostRegister(
        hosts=frozenset({SENDGRID_HOST, EXPO_HOST, TWILIO_HOST, host}) - LOOPBACK_HOSTS - {""},
        allows_loopback=environment == "devstack",
    )


@dataclass(frozen=True)
class MailHosts:
    """Which mail servers may be called: a garage names its own, so it must not lead into our network.

    The name is checked here, and every address it resolves to again by `may_connect`, before connecting.
    """

    allows_loopback: bool = False

    def check(self, host: str, port: int) -> None:
        """Raises HostRefused for what is no public name, or no port that mail is submitted to."""
        if self.allows_loopback and host in LOOPBACK_HOSTS:
            return
        if port not in MAIL_PORTS:
            raise HostRefused("smtp_port_not_allowed")
        if not is_public_name(host):
            raise HostRefused("smtp_host_not_public")

    def may_connect(self, address: str) -> bool:
        """Whether an address that the name resolved to may be connected to."""
        if self.allows_loopback and ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            return True
        return is_public_address(address)


_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE | re.ASCII)
# RFC 6761, RFC 6762 and RFC 8375; `internal` is reserved for networks of one's own.
_PRIVATE_DOMAINS = ("localhost", "local", "internal", "home.arpa", "test", "invalid", "onion")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public_name(host: str) -> bool:
    """Whether a text is a name that public DNS may know: no address, no single label, nothing reserved."""
    labels = host.split(".")
    return (
        len(host) <= 253
        and len(labels) >= 2
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
        and not re.fullmatch("0x[0-9a-f]*", labels[-1].lower())
        and not any(f".{host.lower()}".endswith(f".{domain}") for domain in _PRIVATE_DOMAINS)
    )


def is_public_address(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where it wraps an IPv4 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        wrapped = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            wrapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if found.teredo or (wrapped and not is_public_address(str(wrapped))):
            return False
        if wrapped:
            return True
    return found.is_global and not found.is_multicast
