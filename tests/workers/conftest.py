"""Factories of jobs and ports, golden files, and a provider that answers what a test tells it to."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from workers.adapters.memory import MemoryFiles, MemoryMailer, MemoryPdf, MemoryProviders, MemoryPusher
from workers.adapters.pdf import ChildProcessPdf
from workers.core.jobs import PushJob, RenderJob, SendJob, Snapshot
from workers.core.kinds import KINDS
from workers.core.values import Sites
from workers.ports import Ports

GARAGE_NOORD = "11111111-0000-4000-8000-000000000001"
SUBJECT = "99999999-0000-4000-8000-000000000001"
SITES = Sites("https://portal.autexor.be", "https://app.autexor.be", "https://edge.autexor.be")
OPT_OUT_TOKEN = SUBJECT.replace("-", "") + "0123456789abcdef" * 2
GOLDEN = Path(__file__).parent / "golden"
DESCRIPTIONS = (
    "Groot onderhoud met motorolie 5W-30",
    "Oliefilter MANN W 712/95",
    "Remschijven geventileerd Ø 288 mm, per paar",
    "Main-d’œuvre mécanicien",
    "Distributieriem en waterpomp, kit\nArt. 00185 · garantie 24 maanden",
)


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.fixture(scope="session")
def snapshot_payload() -> Callable[..., dict[str, Any]]:
    """Makes the JSON of a snapshot with so many lines at 21 and 6 %, with half-cent prices."""

    def make(count: int = 3, /, **changes: Any) -> dict[str, Any]:
        rows, bases = [], {"21.00": Decimal(0), "6.00": Decimal(0)}
        for n in range(count):
            quantity, price = Decimal("1.25") if n % 3 == 2 else Decimal(1 + n % 2), Decimal("95.1250") + n
            rate = "6.00" if n % 3 == 1 else "21.00"
            net = cents(quantity * price)
            bases[rate] += net
            rows.append(
                {
                    "position": n + 1,
                    "description": DESCRIPTIONS[n % len(DESCRIPTIONS)],
                    "quantity": f"{quantity:.3f}",
                    "unit_price": f"{price:.4f}",
                    "vat_rate": rate,
                    "net_amount": str(net),
                }
            )
        vat = [
            {
                "rate": rate,
                "base": str(base),
                "vat": str(cents(base * Decimal(rate) / 100)),
            }
            for rate, base in bases.items()
            if base
        ]
        net, tax = sum(bases.values()), sum(Decimal(row["vat"]) for row in vat)
        return {
            "schema": 1,
            "kind": "invoice",
            "number": "2026-00001",
            "issue_date": "2026-11-22",
            "supply_date": "2026-11-20",
            "due_date": "2026-12-22",
            "locale": "nl",
            "currency": "EUR",
            "garage": {
                "legal_name": "Garage Noord BV",
                "trade_name": "Garage Noord",
                "vat_number": "BE0123456749",
                "enterprise_number": "0123456749",
                "street": "Noorderlaan 12",
                "postal_code": "2030",
                "city": "Antwerpen",
                "country_code": "BE",
                "email": "info@garage-noord.test",
                "phone": "+3231234567",
                "iban": "BE68539007547034",
                "bic": "KREDBEBB",
                "accent_color": None,
                "logo_sha256": None,
            },
            "customer": {
                "name": "Carla Peeters-Lefèvre",
                "company_name": None,
                "street": "Kerkstraat 15 bus 3",
                "postal_code": "2000",
                "city": "Antwerpen",
                "country_code": "BE",
                "vat_number": None,
            },
            "vehicle": {
                "plate": "1-ABC-234",
                "make": "Volkswagen",
                "model": "Golf VIII 1.5 TSI",
                "vin": "WVWZZZCDZMW123456",
                "odometer_km": 84512,
            },
            "lines": rows,
            "vat": vat,
            "totals": {"net": str(net), "vat": str(tax), "gross": str(net + tax)},
            "structured_communication": "+++001/2345/60325+++",
            "note": None,
            **changes,
        }

    return make


@pytest.fixture(scope="session")
def credit_note_payload(snapshot_payload: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Makes the JSON of a credit note with discounts, a reversed line and a line at 6 %."""

    def make(**changes: Any) -> dict[str, Any]:
        kinds = [
            ("standard", "21.00", "10.00"),
            ("standard", "6.00", "0.00"),
            ("reverse_charge", "0.00", "0.00"),
        ]
        lines = snapshot_payload(3)["lines"]
        for line, (category, rate, discount) in zip(lines, kinds, strict=True):
            line.update(vat_category=category, vat_rate=rate, discount_percent=discount)
            exact = Decimal(line["quantity"]) * Decimal(line["unit_price"])
            line["net_amount"] = str(cents(exact * (100 - Decimal(discount)) / 100))
        vat = []
        for line in lines:
            net = Decimal(line["net_amount"])
            base = cents(net * 95 / 100)
            tax = cents(base * Decimal(line["vat_rate"]) / 100)
            group = {"category": line["vat_category"], "rate": line["vat_rate"]}
            vat.append({**group, "discount": str(net - base), "base": str(base), "vat": str(tax)})
        base, tax = (sum(Decimal(row[key]) for row in vat) for key in ("base", "vat"))
        payload = snapshot_payload(3)
        return payload | {
            "schema": 2,
            "kind": "credit_note",
            "number": "CN2026-00001",
            "due_date": "2026-11-22",
            "credits": {"number": "2026-00001", "issue_date": "2026-11-20"},
            "discount_percent": "5.00",
            "mentions": ["attest_717", "reverse_charge"],
            "vehicle": payload["vehicle"] | {"attest_717_reference": "717/2021/0001"},
            "lines": lines,
            "vat": vat,
            "totals": {"net": str(base), "vat": str(tax), "gross": str(base + tax)},
            "structured_communication": None,
            "note": "Verkeerd onderdeel geleverd.",
            **changes,
        }

    return make


@pytest.fixture(scope="session")
def snapshot(snapshot_payload: Callable[..., dict[str, Any]]) -> Callable[..., Snapshot]:
    """Makes a snapshot."""
    return lambda *args, **changes: Snapshot.model_validate(snapshot_payload(*args, **changes))


@pytest.fixture(scope="session")
def render_payload(snapshot_payload: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Makes the payload of a render job."""

    def make(count: int = 3, /, attempt: int = 1, logo: str | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "render_invoice",
            "subject_id": SUBJECT,
            "garage_id": GARAGE_NOORD,
            "invoice_id": SUBJECT,
            "attempt": attempt,
            "version": 1,
            "storage_bucket": "invoices",
            "storage_path": f"{GARAGE_NOORD}/{SUBJECT}/{SUBJECT}.pdf",
            "snapshot": snapshot_payload(count, **changes),
            "logo_png_base64": logo,
        }

    return make


@pytest.fixture(scope="session")
def render_job(render_payload: Callable[..., dict[str, Any]]) -> Callable[..., RenderJob]:
    """Makes a render job."""
    return lambda *args, **changes: RenderJob.model_validate(render_payload(*args, **changes))


@pytest.fixture(scope="session")
def send_payload() -> Callable[..., dict[str, Any]]:
    """Makes the payload of a send job."""

    def make(locale: str = "nl", **changes: Any) -> dict[str, Any]:
        context = {
            "garage_name": "Garage Noord",
            "customer_name": "Carla Peeters-Lefèvre",
            "invoice_number": "2026-00001",
            "issue_date": "2026-11-22",
            "due_date": "2026-12-22",
            "gross_total": "1234.50",
            "structured_communication": "+++001/2345/60325+++",
            "iban": "BE68539007547034",
        }
        payload = {
            "kind": "send_message",
            "subject_id": SUBJECT,
            "garage_id": GARAGE_NOORD,
            "attempt": 1,
            "channel": "email",
            "template": "invoice_issued",
            "locale": locale,
            "recipient": {"address": "carla@example.test", "name": "Carla Peeters-Lefèvre"},
            "sender": {
                "address": "no-reply@autexor.be",
                "name": "Garage Noord",
                "reply_to": "info@garage-noord.test",
            },
            "context": context,
            "attachment": None,
            **changes,
        }
        can_stop = payload["channel"] == "email" and KINDS[payload["template"]].can_stop
        return {"opt_out_token": OPT_OUT_TOKEN if can_stop else None, **payload}

    return make


@pytest.fixture(scope="session")
def send_job(send_payload: Callable[..., dict[str, Any]]) -> Callable[..., SendJob]:
    """Makes a send job."""
    return lambda *args, **changes: SendJob.model_validate(send_payload(*args, **changes))


@pytest.fixture(scope="session")
def invite_job(send_job: Callable[..., SendJob]) -> Callable[..., SendJob]:
    """Makes the job of an invitation's mail."""

    def make(locale: str = "nl", **changes: Any) -> SendJob:
        context = {
            "garage_name": "Garage Noord",
            "inviter_name": "Olga Peeters",
            "token": "0123abcd",
            "expires_on": "2026-11-30",
        }
        recipient = {"address": "nina@example.test", "name": "nina@example.test"}
        return send_job(locale, template="member_invited", context=context, recipient=recipient, **changes)

    return make


@pytest.fixture(scope="session")
def push_job() -> Callable[..., PushJob]:
    """Makes a push job."""

    def make(**changes: Any) -> PushJob:
        payload = {
            "kind": "send_push",
            "subject_id": SUBJECT,
            "garage_id": GARAGE_NOORD,
            "attempt": 1,
            "expo_token": "ExponentPushToken[CarlaNoordPhone0000001]",
            "template": "invoice_issued",
            "locale": "nl",
            "data": {"notification_id": SUBJECT, "kind": "invoice_issued"},
        }
        return PushJob.model_validate(payload | changes)

    return make


@dataclass(frozen=True)
class MemoryPorts(Ports):
    """Ports whose twins a test can look into."""

    files: MemoryFiles = field(default_factory=MemoryFiles)
    pdf: MemoryPdf = field(default_factory=MemoryPdf)
    providers: MemoryProviders = field(default_factory=MemoryProviders)
    pusher: MemoryPusher = field(default_factory=MemoryPusher)
    sites: Sites = SITES

    @property
    def mailer(self) -> MemoryMailer:
        """Everybody's mailer."""
        return self.providers.mail


@pytest.fixture
def ports() -> MemoryPorts:
    """In-memory ports."""
    return MemoryPorts()


@pytest.fixture(scope="session")
def pdf() -> Iterator[ChildProcessPdf]:
    """The real renderer."""
    renderer = ChildProcessPdf()
    yield renderer
    renderer.close()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with its golden file; RENEW_GOLDEN=1 writes it instead."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("RENEW_GOLDEN") == "1":
            path.write_text(text, "utf-8")
        assert text == path.read_text("utf-8"), f"{name} changed: look at it, then run with RENEW_GOLDEN=1"

    return compare


@dataclass
class Answer:
    """What the provider does: answer, or hang up once it has read the request, or keep silent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    silent_seconds: float = 0


@dataclass
class Provider:
    """A provider on a loopback port; `requests` holds the path, headers and body of each call."""

    url: str
    answer: Answer = field(default_factory=Answer)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that answers what the test says."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.requests.append((self.path, dict(self.headers), body))
            answer = told.answer
            time.sleep(answer.silent_seconds)
            if answer.hangs_up or answer.silent_seconds:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = handle_any

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(provider: Provider, unused_url: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A proxy that the environment names; nothing may reach it."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, provider.url)
        monkeypatch.setenv(name.upper(), provider.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # Who heeds the environment does reach it.
    httpx.get(unused_url)
    assert provider.requests
    provider.requests.clear()
    return provider


@pytest.fixture
def unused_url() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
