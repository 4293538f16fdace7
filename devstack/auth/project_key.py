"""The project's ES256 key: published beside the HS256 secret, as a project in transition has it."""

import json
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from devstack.keys import Jwk


def load_or_create(folder: Path) -> Jwk:
    """The private JWK kept in the folder, made there on first use; readable by its owner only."""
    path = folder / "project_key.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        key: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({**key, "kid": str(uuid.uuid4()), "alg": "ES256", "use": "sig"}))
    stored: Jwk = json.loads(path.read_text())
    return stored
