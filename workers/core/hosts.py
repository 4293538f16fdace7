"""Where workers may connect to: the register of outgoing hosts (the subprocessors) and the https rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from workers.core.errors import HostRefused

Environment = Literal["production", "devstack"]

SENDGRID_HOST = "api.sendgrid.com"
EXPO_HOST = "exp.host"
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
        hosts=frozenset({SENDGRID_HOST, EXPO_HOST, host}) - LOOPBACK_HOSTS - {""},
        allows_loopback=environment == "devstack",
    )
