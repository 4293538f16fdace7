"""The portal as an app developer meets it: portal_contract/ drives a stack with the real supabase-js."""

import os
import subprocess

import pytest

from devstack.config import ROOT

SUITES = {
    "sign_in": ("P1", "P5", "P8"),
    "account": ("P1", "P2", "P3", "P5", "P6"),
    "reading": ("P9", "P10", "P11", "D1"),
    "documents": ("P13", "S3"),
    "conversation": ("P12", "S3", "D1"),
    "push": ("P14",),
    "telemetry": ("D13",),
}

TOLD = ("API_URL", "ANON_KEY", "INVOICE_ID", "INVITED_EMAIL", "INVITATION_TOKEN")


def test_every_suite_is_run() -> None:
    found = {path.name.removesuffix(".test.mjs") for path in (ROOT / "portal_contract").glob("*.test.mjs")}
    assert found == set(SUITES)


@pytest.mark.req(
    "P1", "P2", "P3", "P5", "P6", "P8", "P9", "P10", "P11", "P12", "P13", "P14", "S3", "D1", "D13"
)
@pytest.mark.parametrize("suite", SUITES)
def test_supabase_js_works_with_the_portal(portal: dict[str, str], suite: str) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", f"portal_contract/{suite}.test.mjs"],
        cwd=ROOT,
        env={**os.environ, **{name: portal[name] for name in TOLD}},
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout
