"""The HTML of a garage's mail: a fragment of listed tags, written anew from what was read.

What goes out is only ever text and attributes that were escaped here, so no trick of parsing can carry
anything else: no script, form, frame, style sheet or comment, and no address that is not https.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html import escape, unescape

from workers.core.sandbox import LONGEST_OUTPUT, WordingRefused

_INLINE = frozenset({"a", "b", "strong", "i", "em", "u", "s", "small", "span", "sub", "sup", "br", "img"})
_BLOCKS = frozenset(
    {"p", "div", "h1", "h2", "h3", "h4", "ul", "ol", "li", "hr", "blockquote", "center"}
    | {"table", "thead", "tbody", "tfoot", "tr", "td", "th"}
)
TAGS = _INLINE | _BLOCKS
_VOID = frozenset({"br", "hr", "img"})
_EVERYWHERE = frozenset({"style", "lang", "dir", "title", "align", "valign", "width", "height", "bgcolor"})
_OWN: Mapping[str, frozenset[str]] = {
    "a": frozenset({"href", "target"}),
    "img": frozenset({"src", "alt"}),
    "td": frozenset({"colspan", "rowspan"}),
    "th": frozenset({"colspan", "rowspan"}),
    "table": frozenset({"border", "cellpadding", "cellspacing", "role"}),
}
_TAG = re.compile(
    r"""<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)
    (?P<attributes>(?:\s++[a-zA-Z-]++(?:=(?:"[^"<]*+"|'[^'<]*+'))?+)*+)\s*+(?P<void>/?)>""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]++)(?:=(?:"([^"]*+)"|'([^']*+)'))?+""")
_ADDRESS = re.compile(r"https://[^\s<>\"'\\]+|mailto:[^\s<>\"'\\?&]+@[^\s<>\"'\\?&]+|tel:\+?[0-9 ()./-]+")
_STYLE = re.compile(r"[\w\s:;#%.,()'\"!+-]*")
_BAD_STYLE = re.compile(r"url|expression|position|behavior|import|z-index|var\(", re.IGNORECASE)


def rebuilt(html: str, own: Collection[str] = (), only_own: bool = False) -> str:
    """The fragment, written anew; raises WordingRefused for what is not listed, with its line.

    `own` are addresses of ours; with `only_own` the fragment leads to those alone and shows no picture,
    so that what is secret in it can be carried nowhere else.
    """
    written: list[str] = []
    is_open: list[str] = []
    at, line = 0, 1
    while at < len(html):
        start = html.find("<", at)
        written.append(_text(html[at:] if start < 0 else html[at:start]))
        if start < 0:
            break
        line += html.count("\n", at, start)
        found = _TAG.match(html, start)
        if found is None:
            raise WordingRefused('this "<" begins no tag that can be used', line)
        written.append(_tag(found, is_open, own, only_own, line))
        line += found[0].count("\n")
        at = found.end()
    if is_open:
        raise WordingRefused("this tag is never closed", None, is_open[-1])
    whole = "".join(written)
    if len(whole) > LONGEST_OUTPUT:
        raise WordingRefused(f"what it says is longer than {LONGEST_OUTPUT} characters")
    return whole


def _text(text: str) -> str:
    return escape(unescape(text), quote=False)


def _tag(found: re.Match[str], is_open: list[str], own: Collection[str], only_own: bool, line: int) -> str:
    name = found["name"].lower()
    if name not in TAGS:
        raise WordingRefused("this tag is not allowed", line, name)
    if found["end"]:
        _close(name, is_open, line)
        return f"</{name}>"
    if only_own and name == "img":
        raise WordingRefused("a message about access shows no picture", line)
    if name not in _VOID:
        is_open.append(name)
    return f"<{name}{_attributes(name, found['attributes'], own, only_own, line)}>"


def _close(name: str, is_open: list[str], line: int) -> None:
    if name in _VOID or not is_open or is_open[-1] != name:
        raise WordingRefused("this closes nothing", line, name)
    is_open.pop()


def _attributes(name: str, source: str, own: Collection[str], only_own: bool, line: int) -> str:
    written = ""
    for key, double, single in _ATTRIBUTE.findall(source):
        key, value = key.lower(), unescape(double or single)
        if key not in _EVERYWHERE and key not in _OWN.get(name, frozenset()):
            raise WordingRefused(f"this attribute of {name} is not allowed", line, key)
        if key == "style" and (not _STYLE.fullmatch(value) or _BAD_STYLE.search(value)):
            raise WordingRefused("this style is not allowed", line)
        if key in ("href", "src") and not _is_address(key, value, own, only_own):
            raise WordingRefused("this address is not allowed (https, mailto, tel)", line, key)
        written += f' {key}="{escape(value)}"'
    return written


def _is_address(key: str, value: str, own: Collection[str], only_own: bool) -> bool:
    if key == "href" and value in own:
        return True
    if only_own:
        return False
    return bool(_ADDRESS.fullmatch(value)) and (key == "href" or value.startswith("https://"))
