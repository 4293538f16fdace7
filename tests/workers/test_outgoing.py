"""Where the adapters call when they are set up as in production: the registered hosts, and no other.

A child process has Python itself report every name that is looked up and every address that is connected to,
and stops it there: nothing leaves the machine.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.core.hosts import register_for

ROOT = Path(__file__).parents[2]
OWN = "project.supabase.co"
WATCHED = """
import json, sys, time
asked = set()
def watch(event, args):
    if event == "socket.getaddrinfo":
        asked.add(args[0].decode() if isinstance(args[0], bytes) else args[0])
        raise OSError("watched")
    if event == "socket.connect" and isinstance(args[1], tuple):
        asked.add(args[1][0])
        raise OSError("watched")
sys.addaudithook(watch)

from uuid import uuid4
from workers.adapters.expo import ExpoPusher
from workers.adapters.realtime import RealtimeDoorbell
from workers.adapters.sendgrid import SendGridMailer
from workers.adapters.storage import SupabaseFiles
from workers.adapters.twilio import TwilioTexter
from workers.core.jobs import Recipient, Sender
from workers.core.messages import Mail, Push
from workers.ports import TextMessage
from workers.settings import WorkerSettings

settings = WorkerSettings(database_url="postgresql://x", supabase_url="https://" + sys.argv[1],
    service_role_key="key", sendgrid_api_key="SG.x.y")
files = SupabaseFiles(settings.supabase_url, "key")
bell = RealtimeDoorbell(settings.supabase_url, "key")
mail = Mail(subject="Dag", text="Dag", html="<p>Dag</p>")
calls = [
    lambda: files.download("b", "p"),
    lambda: files.upload("b", "p", b"", "x/y"),
    lambda: files.remove("b", "p"),
    lambda: SendGridMailer("SG.x.y", settings.sendgrid_url).send(
        mail, Recipient(address="a@example.test", name="A"),
        Sender(address="b@example.test", name="B", reply_to="c@example.test"), None, uuid4()),
    lambda: ExpoPusher(settings.expo_url).push(
        "ExponentPushToken[xxxxxxxxxx]", Push(title="t", body="b"), {}),
    lambda: TwilioTexter("AC" + "0" * 32, "token", settings.twilio_url, settings.edge_url).send(
        TextMessage("sms", "+32470123456", "Dag"), "+32460000000", uuid4()),
]
failed = []
for call in calls:
    try:
        call()
    except Exception as error:
        failed.append(type(error).__name__)
bell.start(lambda queue: None)
deadline = time.monotonic() + 10
while sys.argv[1] not in asked and time.monotonic() < deadline:
    time.sleep(0.05)
bell.stop()
print(json.dumps({"asked": sorted(asked), "failed": len(failed), "calls": len(calls)}))
"""


@pytest.mark.req("G4", "S1")
def test_adapters_call_the_registered_hosts_and_no_other() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, OWN],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["failed"] == found["calls"], "each call was stopped on its way out"
    assert set(found["asked"]) == register_for("production", f"https://{OWN}").hosts
