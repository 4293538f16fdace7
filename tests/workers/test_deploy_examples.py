"""What the examples of docs/deploy.md promise: time to stop, no root, nowhere to write, hashed packages."""

import re
from pathlib import Path

from workers.lane import VISIBILITY_SECONDS

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
UNIT = (DEPLOY / "autexor-worker.service").read_text("utf-8")
IMAGE = (DEPLOY / "Containerfile").read_text("utf-8")


def test_a_stop_leaves_more_time_than_the_longest_job() -> None:
    longest = max(VISIBILITY_SECONDS.values())
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    (image,) = re.findall(r"--stop-timeout (\d+)", IMAGE)
    assert int(unit) > longest
    assert int(image) > longest


def test_the_unit_runs_as_nobody_in_particular_and_writes_nowhere() -> None:
    for line in ("DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in UNIT
    assert "\nUser=" not in UNIT
    assert "StateDirectory" not in UNIT and "ReadWritePaths" not in UNIT


def test_the_image_has_hashed_packages_and_no_root() -> None:
    assert "--require-hashes -r requirements.lock" in IMAGE
    user = re.findall(r"^USER (\d+):(\d+)$", IMAGE, re.MULTILINE)
    assert user and all(int(number) > 0 for pair in user for number in pair)
    assert "--read-only" in IMAGE
    assert "AUTEXOR_DATABASE_URL" not in IMAGE, "no setting is baked in"
