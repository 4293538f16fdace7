"""The payment QR code (EPC069-12, "BCD") with the Belgian structured communication (OGM) in it."""

from __future__ import annotations

import io
from base64 import b64encode
from decimal import Decimal

import segno
from stdnum import iban as iban_number
from stdnum.be import ogm_vcs

from workers.core.jobs import Snapshot

_LARGEST = Decimal("999999999.99")


def payment_qr(snapshot: Snapshot) -> str | None:
    """The QR code as a PNG data URI, or None when there is nothing to pay or nowhere to pay it to."""
    payload = epc_payload(snapshot)
    if payload is None:
        return None
    image = io.BytesIO()
    code = segno.make_qr(payload, error="m", boost_error=False, encoding="utf-8")
    code.save(image, kind="png", scale=6, border=4)
    return "data:image/png;base64," + b64encode(image.getvalue()).decode("ascii")


def epc_payload(snapshot: Snapshot) -> str | None:
    """The lines of the code, the OGM in the structured one: elsewhere apps show it as a plain message."""
    garage, gross = snapshot.garage, snapshot.totals.gross
    if (
        snapshot.structured_communication is None
        or not 0 < gross <= _LARGEST
        or not garage.iban
        or not iban_number.is_valid(garage.iban, check_country=False)
    ):
        return None
    if not ogm_vcs.is_valid(snapshot.structured_communication):
        return None
    lines = [
        "BCD",
        "002",
        "1",
        "SCT",
        garage.bic or "",
        beneficiary(snapshot)[:70],
        iban_number.compact(garage.iban),
        f"EUR{gross:.2f}",
        "",
        structured(snapshot.structured_communication),
    ]
    return "\n".join(lines)


def beneficiary(snapshot: Snapshot) -> str:
    """The account holder: the legal name, since banks compare it with the account's (EU 2024/886)."""
    return " ".join(snapshot.garage.legal_name.split())


def structured(communication: str) -> str:
    """An OGM as it is printed: +++ddd/dddd/ddddd+++."""
    return f"+++{ogm_vcs.format(communication)}+++"
