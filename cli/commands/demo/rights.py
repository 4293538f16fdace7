"""A customer uses her rights: export, plan of the erasure, erasure, and a search that finds nothing."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from supabase import Client

from cli.commands.demo.cast import NOORD
from cli.commands.demo.check_in import BUCKET, PHOTO
from cli.commands.demo.denials import refusal
from cli.commands.demo.facts import Facts
from cli.commands.demo.waiting import wait_for
from cli.subject_export.answers import erasure_plan, export

Record = dict[str, Any]


def answer_a_request(olga: Client, rita: Client, facts: Facts) -> None:
    """Of a customer of her own, so that the other steps stand."""
    facts.step("Dora asks what the garage knows of her, and then to be forgotten")
    word = f"dora{uuid4().hex[:8]}"
    photo = _history(rita, word)
    request = _receive(rita, photo["customer_id"], "erasure")
    facts.deny(
        "exporting before anybody checked that it is Dora",
        control="checked, it is exported",
        expected="identity_not_verified",
        actual=refusal(lambda: olga.rpc("rights_export", {"request_id": request["id"]}).execute()),
    )
    rita.rpc("verify_rights_identity", {"request_id": request["id"], "how": "id_card"}).execute()
    _export(olga, request, word, facts)
    facts.deny(
        "Rita (receptionist) erasing",
        control="Olga may",
        expected="permission_missing",
        actual=refusal(lambda: erasure_plan(rita, request["id"])),
    )
    _erase(olga, request, facts)
    _prove(olga, word, photo, facts)


def _history(rita: Client, word: str) -> Record:
    """A customer with a car, a work order and a photo, a word in each; the photo's row."""
    customer = _insert(
        rita,
        "customers",
        full_name=f"Dora {word}",
        email=f"{word}@example.test",
        street=f"{word}straat 1",
        locale="nl",
    )
    car = _insert(rita, "vehicles", make="Fiat", model="Panda")
    _insert(
        rita, "vehicle_ownerships", vehicle_id=car["id"], customer_id=customer["id"], valid_from="2024-01-01"
    )
    order = _insert(
        rita, "work_orders", customer_id=customer["id"], vehicle_id=car["id"], complaint=f"Piept, zegt {word}"
    )
    photo = _insert(
        rita, "work_order_photos", work_order_id=order["id"], content_type="image/png", caption=word
    )
    kind: Any = {"content-type": "image/png"}
    rita.storage.from_(BUCKET).upload(photo["storage_path"], PHOTO, kind)
    return {**photo, "customer_id": customer["id"]}


def _export(olga: Client, request: Record, word: str, facts: Facts) -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = export(olga, request["id"], Path(directory) / "dora.zip")
        with zipfile.ZipFile(made["file"]) as archive:
            names = archive.namelist()
            text = "".join(archive.read(name).decode() for name in names if name.endswith(".json"))
            photos = [archive.read(name) for name in names if name.startswith(f"files/{BUCKET}/")]
    facts.values["export"] = {name: made[name] for name in ("tables", "rows", "files", "bytes", "sha256")}
    facts.prove(
        "one archive holds a page to read, her card, her car, what she asked for and the photo",
        "index.html" in names and text.count(word) >= 5 and photos == [PHOTO],
        {"tables": made["tables"], "rows": made["rows"], "file": made["files"]},
    )


def _erase(olga: Client, request: Record, facts: Facts) -> None:
    plan = erasure_plan(olga, request["id"])
    actions = [step["action"] for step in plan["steps"]]
    facts.prove(
        "the plan of the erasure says row by row what goes, what is emptied and what stays",
        "empty" in actions and "erase" in actions,
        {f"to {action}": actions.count(action) for action in ("erase", "empty", "keep")},
    )
    stale = {"request_id": request["id"], "plan_sha256": "0" * 64}
    facts.deny(
        "executing another plan than the one shown",
        control="the plan shown is executed",
        expected="plan_changed",
        actual=refusal(lambda: olga.rpc("execute_erasure", stale).execute()),
    )
    olga.rpc("execute_erasure", {**stale, "plan_sha256": plan["sha256"]}).execute()
    done = wait_for("Removing a file", lambda: _done(olga, request["id"]))
    facts.prove(
        "it is executed at once, and a worker removes the file",
        done["evidence"].get("files_removed") == 1,
        f"request {done['status']}, {done['evidence'].get('files_removed')} file removed",
    )


def _prove(olga: Client, word: str, photo: Record, facts: Facts) -> None:
    tables = (
        "customers",
        "work_orders",
        "work_order_photos",
        "rights_requests",
        "audit_entries",
        "access_entries",
    )
    left = [table for table in tables if word in json.dumps(olga.table(table).select("*").execute().data)]
    facts.values["erased"] = {"tables_searched": len(tables), "found_in": left}
    facts.prove(
        "afterwards her name is found nowhere Olga can look", left == [], f"{len(tables)} tables searched"
    )
    facts.prove(
        "nor is the photo",
        refusal(lambda: olga.storage.from_(BUCKET).download(photo["storage_path"])) == "404",
    )


def _receive(rita: Client, customer_id: str, kind: str) -> Record:
    arguments = {"customer_id": customer_id, "kind": kind}
    answer: Any = rita.rpc("receive_rights_request", arguments).execute().data
    return cast(Record, answer[0] if isinstance(answer, list) else answer)


def _done(olga: Client, request_id: str) -> Record | None:
    query = olga.table("rights_requests").select("status,evidence").eq("id", request_id)
    (row,) = cast(list[Record], query.execute().data)
    return row if row["status"] == "done" else None


def _insert(member: Client, table: str, **row: object) -> Record:
    values: Any = {"garage_id": NOORD, **row}
    return cast(list[Record], member.table(table).insert(values).execute().data)[0]
