"""The fixed cast as actors in the database: who they are, and what their tokens say."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from devstack.testing import Connection, Database

NOORD = "11111111-0000-4000-8000-000000000001"
ZUID = "11111111-0000-4000-8000-000000000002"


def _id(kind: str, number: int) -> str:
    return f"{kind}-0000-4000-8000-{number:012d}"


@dataclass(frozen=True)
class Actor:
    """Somebody with a token."""

    name: str
    claims: Mapping[str, Any]

    def acting(
        self, database: Database, headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Connection]:
        """A transaction as this actor, rolled back at the end unless committed before."""
        return database.as_user(headers=headers, **self.claims)

    def but(self, name: str, **claims: Any) -> "Actor":
        """The same actor with other claims."""
        return replace(self, name=name, claims={**self.claims, **claims})

    @property
    def role(self) -> str:
        """The database role of the token."""
        return str(self.claims["role"])


@dataclass(frozen=True)
class Customer:
    """A customer of one garage with everything that is theirs."""

    number: int
    garage_id: str
    login: str
    device_id: str
    fingerprint: str
    customer_id: str = field(init=False)
    vehicle_id: str = field(init=False)
    account_id: str = field(init=False)
    portal_device_id: str = field(init=False)
    session_id: str = field(init=False)

    def __post_init__(self) -> None:
        kinds = {
            "customer_id": "33333333",
            "vehicle_id": "44444444",
            "account_id": "55555555",
            "portal_device_id": "66666666",
            "session_id": "77777777",
        }
        for attribute, kind in kinds.items():
            object.__setattr__(self, attribute, _id(kind, self.number))

    def with_session(self, session_id: object) -> Actor:
        """This customer, holding a token of that session."""
        return Actor(
            f"{self.login} ({self.number})",
            {
                "role": "portal",
                "sub": self.account_id,
                "garage_id": self.garage_id,
                "session_id": str(session_id),
            },
        )

    @property
    def actor(self) -> Actor:
        """This customer in the session that `busy_database` opened for them."""
        return self.with_session(self.session_id)


def _staff(name: str, number: int, garage_id: str) -> Actor:
    claims = {
        "role": "authenticated",
        "sub": _id("22222222", number),
        "garage_id": garage_id,
        "session_id": _id("2b222222", number),
    }
    return Actor(name, claims)


OLGA = _staff("Olga", 1, NOORD)
RITA = _staff("Rita", 2, NOORD)
MARC = _staff("Marc", 3, NOORD)
OTTO = _staff("Otto", 4, ZUID)
# Of Autexor itself, at no garage.
ADA = Actor("Ada", {**_staff("Ada", 5, NOORD).claims, "garage_id": None})
RITA_MEMBERSHIP = _id("2a222222", 2)
OTTO_MEMBERSHIP = _id("2a222222", 4)

CARLA = Customer(1, NOORD, "carla@example.test", "carla-phone-noord", "fp-carla")
KAREL = Customer(2, NOORD, "karel@example.test", "karel-phone-noord", "fp-karel")
CARLA_AT_ZUID = Customer(3, ZUID, "carla@example.test", "carla-phone-zuid", "fp-carla")
CUSTOMERS = (CARLA, KAREL, CARLA_AT_ZUID)

ANON = Actor("anon", {"role": "anon"})
SERVICE_ROLE = Actor("service_role", {"role": "service_role"})
