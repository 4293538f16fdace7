"""The people of the demo, as the seeds make them. Their secrets open nothing but a local stack."""

from dataclasses import dataclass

NOORD = "11111111-0000-4000-8000-000000000001"
CARLA_ID = "33333333-0000-4000-8000-000000000001"
CARLAS_CAR = "44444444-0000-4000-8000-000000000001"
KARELS_ACCOUNT = "55555555-0000-4000-8000-000000000002"

STAFF_PASSWORD = "autexor-demo"
OLGA = "olga@garage-noord.test"
RITA = "rita@garage-noord.test"
MARC = "marc@garage-noord.test"
OTTO = "otto@garage-zuid.test"
ADA = "ada@autexor.test"


@dataclass(frozen=True)
class PortalCustomer:
    """Who signs in on the portal of Garage Noord, and from which installation of the app."""

    name: str
    email: str
    password: str
    pin: str
    device_id: str
    fingerprint: str


CARLA = PortalCustomer(
    "Carla", "carla@example.test", "Carla-wacht-2026!", "481516", "carla-phone-noord", "fp-carla"
)
KAREL = PortalCustomer(
    "Karel", "karel@example.test", "Karel-wacht-2026!", "234299", "karel-phone-noord", "fp-karel"
)
