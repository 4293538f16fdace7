"""docs/portal-api.md: how an app talks to the portal, with snippets that the contract suite runs."""

import re
import textwrap
from pathlib import Path

from cli.reference.markdown import page

SUITE = Path("portal_contract")
TEXT = Path("cli/reference/portal_page.md")
_REGION = re.compile(r"^ *// #region (\S+)\n(.*?)^ *// #endregion", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"^\{\{ (\S+) \}\}$", re.MULTILINE)


def portal_page(root: Path) -> str:
    """The page. Raises ValueError when text and suite do not name the same snippets."""
    snippets = {
        name: code
        for path in sorted((root / SUITE).glob("*.test.mjs"))
        for name, code in _REGION.findall(path.read_text(encoding="utf-8"))
    }
    text = (root / TEXT).read_text(encoding="utf-8")
    places = _PLACE.findall(text)
    if sorted(places) != sorted(snippets):
        raise ValueError(f"snippets differ: {sorted(set(places) ^ set(snippets))}")
    body = _PLACE.sub(lambda place: f"```js\n{textwrap.dedent(snippets[place[1]]).strip()}\n```", text)
    return page("The portal's API, for app developers", body.strip())
