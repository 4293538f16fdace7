"""docs/templates.md: every kind of message, its channels, what a template can name, and how it reads."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from cli.reference.markdown import page, table
from workers.core.checking import preview
from workers.core.filters import ABOUT_FILTERS, shown
from workers.core.fragments import TAGS
from workers.core.gsm import measure
from workers.core.kinds import GARAGE_KINDS, Channel, Kind, MessageKind
from workers.core.payload import LOCALES
from workers.core.rendering import LONGEST_PUSH_BODY, LONGEST_PUSH_TITLE, LONGEST_SHORT_TEXT, LONGEST_SUBJECT
from workers.core.shipped import shipped
from workers.core.stopping import EXAMPLE, footer

TEXT = Path("cli/reference/templates_page.md")
LIMITS = {
    "SUBJECT": LONGEST_SUBJECT,
    "SHORT_TEXT": LONGEST_SHORT_TEXT,
    "PUSH_TITLE": LONGEST_PUSH_TITLE,
    "PUSH_BODY": LONGEST_PUSH_BODY,
}


def templates_page(root: Path) -> str:
    """The page, from its text, the kinds and their variables, and the templates that ship."""
    return page(
        "Templates of messages",
        _about((root / TEXT).read_text(encoding="utf-8").strip()),
        "## Kinds of message",
        table(("kind", "when", "channels"), _kind_rows()),
        *(_section(name, kind) for name, kind in GARAGE_KINDS.items()),
    )


def _about(text: str) -> str:
    facts = {name: str(limit) for name, limit in LIMITS.items()}
    facts["TAGS"] = " ".join(f"`{tag}`" for tag in sorted(TAGS))
    facts["FILTERS"] = table(("filter", "what it does", "for example"), _filter_rows())
    facts["STOPS"] = table(("channel", *LOCALES), _stop_rows())
    for name, fact in facts.items():
        text = text.replace(f"<{name}>", fact)
    return text


def _filter_rows() -> list[list[str]]:
    return [[f"`{name}`", about, f"`{example}`"] for name, (about, example) in ABOUT_FILTERS.items()]


def _stop_rows() -> list[list[str]]:
    channels: tuple[Channel, ...] = ("email", "sms", "whatsapp")
    return [
        [
            channel,
            *(
                (footer("work_ready", channel, locale, "…", EXAMPLE) or "").replace("\n", " ⏎ ")
                for locale in LOCALES
            ),
        ]
        for channel in channels
    ]


def _kind_rows() -> list[list[str]]:
    return [
        [f"[`{name}`](#{name})", kind.about, ", ".join(kind.channels)] for name, kind in GARAGE_KINDS.items()
    ]


def _section(name: MessageKind, kind: Kind) -> str:
    said = [
        f"### {name}",
        kind.about + "." + _must(kind),
        table(("variable", "is", "for example"), _variables(kind)),
    ]
    examples = "\n".join(_example(name, channel) for channel in kind.channels)
    return "\n\n".join([*said, f"```\n{examples}\n```"])


def _must(kind: Kind) -> str:
    return f" It must say `{kind.must_say}`, and leads nowhere else." if kind.must_say else ""


def _variables(kind: Kind) -> list[list[str]]:
    return [
        [f"`{name}`", f"{field.description} ({_type(field.annotation)})", f"`{_shown(field.examples)}`"]
        for name, field in kind.variables.model_fields.items()
    ]


def _type(annotation: Any) -> str:
    kinds = {bool: "yes or no", int: "number", Decimal: "amount", date: "date", datetime: "moment"}
    return kinds.get(annotation, "text")


def _shown(examples: Any) -> str:
    return str(shown(examples[0], "nl")).replace("\xa0", " ")


def _example(name: MessageKind, channel: Channel) -> str:
    lines = []
    for locale in LOCALES:
        said = preview(name, channel, locale, shipped(name, channel, locale))
        text = said.subject if channel == "email" else " / ".join(filter(None, (said.subject, said.text)))
        text = " ⏎ ".join(line for line in text.splitlines() if line)
        size = measure(said.text)
        counted = f"  ({size.encoding}, {size.characters}, {size.segments})" if channel == "sms" else ""
        lines.append(f"{channel:<8} {locale}  {text}{counted}")
    return "\n".join(lines)
