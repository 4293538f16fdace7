"""The reference portal (`examples/portal`) in headless Chromium, against a stack."""

import os
import shutil
import subprocess

import httpx
import pytest

from devstack.config import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SAID = ("API_URL", "ANON_KEY", "INVOICE_ID", "INVITED_EMAIL_2", "INVITATION_TOKEN_2")


def chromium() -> str:
    """The browser in CHROMIUM or on the PATH. Skips, saying so, where there is none: we download none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("NOT TESTED: the reference portal; no Chromium on the PATH or in CHROMIUM")
    return found


@pytest.mark.slow
@pytest.mark.req("P2", "P9", "P10", "P11", "P12", "P13")
def test_a_customer_uses_the_reference_portal(portal: dict[str, str]) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "portal_contract/browser.mjs"],
        cwd=ROOT,
        env={**os.environ, **{name: portal[name] for name in SAID}, "CHROMIUM": chromium()},
        capture_output=True,
        text=True,
        timeout=180,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout


def test_the_addresses_of_mails_are_those_of_the_page(portal: dict[str, str]) -> None:
    pages = [
        httpx.get(f"{portal['AUTEXOR_PORTAL_URL']}{path}", follow_redirects=True, trust_env=False)
        for path in ("", "/", "/activate")
    ]
    assert [(page.status_code, page.text) for page in pages] == [(200, pages[0].text)] * 3
    assert "sign-in-form" in pages[0].text
    missing = httpx.get(f"{portal['AUTEXOR_PORTAL_URL']}/elsewhere", trust_env=False)
    assert missing.status_code == 404
