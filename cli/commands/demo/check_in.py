"""Step 1, at the counter and in the workshop: Carla's car comes in, is worked on, and is ready."""

import base64
from typing import Any, cast

from supabase import Client

from cli.commands.demo.billing import LINES
from cli.commands.demo.cast import CARLA_ID, CARLAS_CAR, NOORD
from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts

Record = dict[str, Any]
KM_PER_VISIT = 37
BUCKET = "work_order_photos"
PHOTO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def work_on_the_car(rita: Client, marc: Client, otto: Client, facts: Facts) -> Record:
    """Rita checks the car in, Marc photographs and mends it; returns the work order, ready."""
    facts.step("Rita (receptionist, Garage Noord) checks in Carla's car, Marc mends it, Rita invoices it")
    order = _check_in(rita, facts)
    _photograph(rita, marc, otto, order, facts)
    return _finish(marc, order, facts)


def _check_in(rita: Client, facts: Facts) -> Record:
    arrival = {
        "garage_id": NOORD,
        "customer_id": CARLA_ID,
        "vehicle_id": CARLAS_CAR,
        "complaint": "Remmen piepen vooraan",
        "customer_note": "Bedankt voor uw bezoek.",
        "odometer_in_km": _newest_reading(rita) + KM_PER_VISIT,
    }
    order = _rows(rita.table("work_orders").insert(arrival))[0]
    facts.values["work_order"] = order["reference"]
    facts.prove(
        "the car is checked in, and its odometer is on record",
        _newest_reading(rita) == order["odometer_in_km"],
        f"{order['reference']}, {order['odometer_in_km']} km",
    )
    return order


def _photograph(rita: Client, marc: Client, otto: Client, order: Record, facts: Facts) -> None:
    announced = {"garage_id": NOORD, "work_order_id": order["id"], "content_type": "image/png"}
    path = _rows(marc.table("work_order_photos").insert(announced))[0]["storage_path"]
    kind: Any = {"content-type": "image/png"}
    marc.storage.from_(BUCKET).upload(path, PHOTO, kind)
    facts.prove(
        "Marc (mechanic) photographs the brakes, and Rita sees it",
        rita.storage.from_(BUCKET).download(path) == PHOTO,
    )
    elsewhere = path.replace(".png", "-2.png")
    facts.deny(
        "a photo where none was announced",
        control="the one announced was stored",
        expected="403",
        actual=refusal(lambda: marc.storage.from_(BUCKET).upload(elsewhere, PHOTO, kind)),
    )
    facts.deny(
        "Otto looking at it from Garage Zuid",
        control="Rita downloaded it",
        expected="404",
        actual=refusal(lambda: otto.storage.from_(BUCKET).download(path)),
    )


def _finish(marc: Client, order: Record, facts: Facts) -> Record:
    part_of = {"garage_id": NOORD, "work_order_id": order["id"]}
    task = _rows(marc.table("work_order_tasks").insert({**part_of, "position": 1, "title": "Remmen"}))[0]
    lines = [
        {**part_of, "task_id": task["id"], "position": position, **line}
        for position, line in enumerate(LINES, start=1)
    ]
    marc.table("work_order_lines").insert(lines).execute()
    jump = refusal(lambda: _move(marc, order, "ready"))
    order = _move(marc, order, "in_progress")
    marc.table("work_order_tasks").update({"is_done": True, "revision": 2}).eq("id", task["id"]).execute()
    order = _move(marc, order, "ready")
    facts.deny(
        "calling the car ready before anybody began",
        control=f"begun first, it became {order['status']}",
        expected="status_change_not_allowed",
        actual=jump,
    )
    return order


def _move(member: Client, order: Record, status: str) -> Record:
    change = {"status": status, "revision": order["revision"] + 1}
    return _rows(member.table("work_orders").update(change).eq("id", order["id"]))[0]


def _newest_reading(member: Client) -> int:
    newest = (
        member.table("odometer_readings")
        .select("reading_km")
        .eq("vehicle_id", CARLAS_CAR)
        .order("reading_km", desc=True)
        .limit(1)
    )
    return int(_rows(newest)[0]["reading_km"])


def _rows(query: Any) -> list[Record]:
    return cast(list[Record], query.execute().data)
