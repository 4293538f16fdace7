"""More of step 4: a photo goes with a message, and each side sees what it has not read yet."""

from typing import Any, cast

import httpx
from supabase import Client

from cli.commands.demo.cast import KAREL, NOORD
from cli.commands.demo.facts import Facts
from cli.commands.demo.portal import PortalSession, open_session

Record = dict[str, Any]
# The smallest PNG there is: one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63"
    "6800000082008177cd72b60000000049454e44ae426082"
)


def converse(rita: Client, carla: PortalSession, facts: Facts) -> None:
    """Carla sends a photo, which Karel cannot open; Rita answers; both counters say so."""
    photo = _one(carla.client.rpc("announce_photo", {"content_type": "image/png"}).execute().data)
    carla.client.storage.from_("message_photos").upload(
        photo["storage_path"], PIXEL, {"content-type": "image/png"}
    )
    message = {"body": "Dit lampje brandt", "photo_id": photo["id"]}
    sent = _one(carla.client.rpc("send_message", message).execute().data)
    link = _photo_link(carla, sent["id"])
    shown = httpx.get(link.json()["signed_url"], timeout=30)
    facts.prove("her photo is put at the one path that was opened for it", shown.content == PIXEL)
    facts.deny(
        "Karel opening Carla's photo",
        control="she opened it",
        expected="document_not_found",
        actual=_photo_link(open_session(carla.stack, KAREL), sent["id"]).json().get("code"),
    )
    thread = sent["conversation_id"]
    rita.table("messages").insert(
        {"garage_id": NOORD, "conversation_id": thread, "body": "Kom langs"}
    ).execute()
    threads = carla.client.table("conversations").select("unread_count").eq("id", thread).execute().data
    unread = _one(threads)["unread_count"]
    carla.client.rpc("mark_conversation_read", {"conversation_id": thread}).execute()
    answers = rita.table("messages").select("read_at").eq("conversation_id", thread).eq("sender", "garage")
    receipts = cast(list[Record], answers.execute().data)
    facts.prove("Rita's answer counts as unread until Carla reads it", unread >= 1, unread)
    facts.prove("and then Rita sees that it was read", all(receipt["read_at"] for receipt in receipts))


def _photo_link(session: PortalSession, message_id: str) -> httpx.Response:
    return httpx.post(
        f"{session.stack.api_url}/functions/v1/portal/photos",
        json={"message_id": message_id},
        headers={"Authorization": f"Bearer {session.access_token}"},
        timeout=30,
    )


def _one(rows: object) -> Record:
    return cast(Record, rows[0] if isinstance(rows, list) else rows)
