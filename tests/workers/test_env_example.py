"""`.env.example` is a second copy of what the two Settings say; here they are compared."""

import re
from itertools import pairwise
from pathlib import Path

from pydantic.fields import FieldInfo

from workers.edge.settings import EdgeSettings
from workers.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
FIELDS: dict[str, FieldInfo] = {**WorkerSettings.model_fields, **EdgeSettings.model_fields}
SETTING = re.compile(r"(#?)AUTEXOR_([A-Z_]+)=(.*)")
# Required outside the local stack, whose default they have.
REQUIRED = {"portal_origins"} | {name for name, field in FIELDS.items() if field.is_required()}


def shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(str(part).removesuffix("/32").removesuffix("/128") for part in default)
    return str(default)


def test_every_setting_is_there_once_with_its_default_and_a_word_about_it() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    seen: dict[str, tuple[str, str]] = {}
    for before, line in pairwise(lines):
        if found := SETTING.fullmatch(line):
            mark, name, value = found.groups()
            assert before.startswith("# "), f"{name} has no word about it"
            assert seen.setdefault(name.lower(), (mark, value)) == (mark, value)
    expected = {
        name: ("", "") if name in REQUIRED else ("#", shown(field.default)) for name, field in FIELDS.items()
    }
    assert seen == expected


def test_the_page_about_running_it_names_every_setting() -> None:
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    assert set(re.findall(r"AUTEXOR_([A-Z_]+)", page)) == {name.upper() for name in FIELDS}
