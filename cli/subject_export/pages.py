"""The pages of an export: plain HTML without scripts, with headings, captions and the person's language."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cli.subject_export.words import word

Record = Mapping[str, Any]

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
caption { text-align: left; font-weight: 600 }
th, td { border: 1px solid #767676; padding: .3rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
a { color: #0b4f9e } dt { font-weight: 600 } dd { margin: 0 0 .4rem }
article { border-top: 2px solid #767676; padding: .5rem 0 }
"""


def document(locale: str, title: str, body: str) -> str:
    """A whole page."""
    return (
        f'<!doctype html>\n<html lang="{escape(locale)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def table_name(locale: str, name: str) -> str:
    """What a table is called: in words where there are, else by its own name."""
    short = name.split(".")[-1]
    return word(locale, f"table.{short}", short.replace("_", " "))


def record_html(locale: str, record: Record) -> str:
    """One row, as a list of what it says; what is empty is left out."""
    lines = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{_value(locale, value)}</dd>"
        for key, value in record.items()
        if value is not None and value != ""
    )
    return f"<article><dl>{lines}</dl></article>\n"


def table_head(locale: str, name: str) -> str:
    """What a table's page says before its rows."""
    title = table_name(locale, name)
    back = f'<p><a href="../index.html">{escape(word(locale, "back"))}</a></p>'
    return f"{back}<h1>{escape(title)}</h1>\n"


def index(locale: str, export: Record, files: Sequence[Record], date: str) -> str:
    """The page to begin with: what is in the archive, what for, who else sees it, and one's rights."""
    garage, customer = export["garage"], export["customer"]
    title = word(locale, "title").format(garage=garage["trade_name"])
    intro = word(locale, "intro").format(garage=garage["legal_name"], name=customer["full_name"], date=date)
    contact = " · ".join(
        str(garage[part])
        for part in ("legal_name", "street", "postal_code", "city", "email", "phone")
        if garage.get(part)
    )
    paragraphs = (
        f"<h1>{escape(title)}</h1><p>{escape(intro)}</p><p>{escape(word(locale, 'left_out'))}</p>",
        _contents(locale, export),
        _files(locale, files),
        _recipients(locale, export["recipients"]),
        f"<h2>{escape(word(locale, 'rights'))}</h2><p>{escape(word(locale, 'kept'))}</p>"
        f"<p>{escape(word(locale, 'rights_text').format(contact=contact))}</p>",
    )
    return document(locale, title, "\n".join(paragraphs))


def _contents(locale: str, export: Record) -> str:
    by_processing = {p["processing"]: p for p in export["processings"]}
    rows = []
    for table in export["tables"]:
        processing = by_processing.get(table["processing"], {})
        purpose = word(locale, f"purpose.{table['processing']}", processing.get("purpose", table["purpose"]))
        basis = word(locale, f"basis.{processing.get('basis')}", "")
        links = (
            f'<a href="data/{escape(table["table"])}.html">{escape(word(locale, "read"))}</a>, '
            f'<a href="data/{escape(table["table"])}.json">{escape(word(locale, "machine"))}</a>'
        )
        rows.append(
            [
                escape(table_name(locale, table["table"])),
                f"{table['rows']}: {links}",
                escape(purpose),
                escape(basis),
            ]
        )
    return _table(locale, "contents", ("what", "count", "why", "basis"), rows)


def _files(locale: str, files: Sequence[Record]) -> str:
    heading = f"<h2>{escape(word(locale, 'files'))}</h2>"
    if not files:
        return f"{heading}<p>{escape(word(locale, 'no_files'))}</p>"
    items = "".join(
        f'<li><a href="{escape(file["name"])}">{escape(table_name(locale, file["table"]))}: '
        f"{escape(file['name'].split('/')[-1])}</a></li>"
        if file["is_there"]
        else f"<li>{escape(file['name'])}: {escape(word(locale, 'missing'))}</li>"
        for file in files
    )
    return f"{heading}<ul>{items}</ul>"


def _recipients(locale: str, recipients: Sequence[Record]) -> str:
    rows = [[escape(r["name"]), escape(r["purpose"]), escape(r["country"])] for r in recipients]
    return _table(locale, "recipients", ("what", "why", "country"), rows)


def _table(locale: str, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(word(locale, name))}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    caption = escape(word(locale, title))
    return (
        f"<h2>{caption}</h2><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _value(locale: str, value: object) -> str:
    if isinstance(value, bool):
        return escape(word(locale, "yes" if value else "no"))
    if isinstance(value, Mapping):
        inner = "".join(
            f"<dt>{escape(str(k))}</dt><dd>{_value(locale, v)}</dd>"
            for k, v in value.items()
            if v is not None
        )
        return f"<dl>{inner}</dl>"
    if isinstance(value, list):
        return "<ul>" + "".join(f"<li>{_value(locale, item)}</li>" for item in value) + "</ul>"
    return escape(str(value))
