"""The drill of docs/deploy.md: a new signing key, nobody signed out by it, and no secret on a screen."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from workers.edge.errors import EdgeError
from workers.edge.keys import SigningKeys
from workers.edge.tokens import TokenSigner

Autexor = Callable[..., Any]


def signer(file: Path) -> TokenSigner:
    """An edge that was started with what the file holds now."""
    return TokenSigner(SigningKeys.model_validate_json(file.read_text()))


@pytest.mark.req("P5")
def test_a_rotation_signs_nobody_out_and_shows_no_secret(autexor: Autexor, tmp_path: Path) -> None:
    file = tmp_path / "signing-keys.json"
    said = [autexor("keys", "new", str(file))]
    before = signer(file)
    token = before.sign(uuid4(), uuid4(), uuid4())
    said.append(autexor("keys", "new", str(file), "--json"))
    published = signer(file)
    assert published.jwks()["keys"][0] == before.jwks()["keys"][0], "the old one signs still"
    secrets = [key["d"] for key in json.loads(file.read_text())["keys"]]
    said.append(autexor("keys", "promote", str(file)))
    rotated = signer(file)
    newer = rotated.sign(uuid4(), uuid4(), uuid4())
    assert rotated.verify(token) and rotated.verify(newer) and published.verify(newer)
    with pytest.raises(EdgeError):
        before.verify(newer)
    assert json.loads(autexor("keys", "list", str(file), "--json").out)[1]["does"] == "verifies only"
    said.append(autexor("keys", "drop", str(file)))
    assert signer(file).verify(newer)
    with pytest.raises(EdgeError):
        signer(file).verify(token)
    assert [one.code for one in said] == [0, 0, 0, 0]
    assert [secret for secret in secrets if any(secret in one.out + one.err for one in said)] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_file_that_holds_no_keys_is_left_alone(autexor: Autexor, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("canary")
    for verb in ("new", "promote", "drop", "list"):
        refused = autexor("keys", verb, str(file))
        assert (refused.code, "keys_unreadable" in refused.err) == (1, True)
        assert "canary" not in refused.err
    assert file.read_text() == "canary"
    alone = tmp_path / "alone.json"
    assert autexor("keys", "new", str(alone)).code == 0
    assert "no_key_waits" in autexor("keys", "promote", str(alone)).err
    assert "keys_unwritable" in autexor("keys", "new", str(tmp_path / "nowhere" / "x")).err
