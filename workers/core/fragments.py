"""The HTML of a garage's mail: a fragment of listed tags, refused with its line for anything else.

What goes out is what nh3 writes anew after that, so a trick of parsing that passes here still carries
nothing: no script, form, frame, style sheet or comment, and no address that is not https.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html import unescape

import nh3

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
    is_open: list[str] = []
    line, at = 1, 0
    while (start := html.find("<", at)) >= 0:
        line += html.count("\n", at, start)
        found = _TAG.match(html, start)
        if found is None:
            raise WordingRefused('this "<" begins no tag that can be used', line)
        _check(found, is_open, own, only_own, line)
        line += found[0].count("\n")
        at = found.end()
    if is_open:
        raise WordingRefused("this tag is never closed", None, is_open[-1])
    whole = _written(html, own, only_own)
    if len(whole) > LONGEST_OUTPUT:
        raise WordingRefused(f"what it says is longer than {LONGEST_OUTPUT} characters")
    return whole


def _written(html: str, own: Collection[str], only_own: bool) -> str:
    def kept(tag: str, key: str, value: str) -> str | None:
        return value if _fault(key, value, own, only_own) is None else None

    return nh3.clean(
        html,
        tags=set(TAGS - {"img"} if only_own else TAGS),
        attributes={"*": set(_EVERYWHERE)} | {tag: set(names) for tag, names in _OWN.items()},
        attribute_filter=kept,
        url_schemes={"https", "mailto", "tel"} | {address.partition(":")[0] for address in own},
        link_rel=None,
    )


def _check(found: re.Match[str], is_open: list[str], own: Collection[str], only_own: bool, line: int) -> None:
    name = found["name"].lower()
    if name not in TAGS:
        raise WordingRefused("this tag is not allowed", line, name)
    if found["end"]:
        if not is_open or is_open[-1] != name:
            raise WordingRefused("this closes nothing", line, name)
        is_open.pop()
        return
    if only_own and name == "img":
        raise WordingRefused("a message about access shows no picture", line)
    if name not in _VOID:
        is_open.append(name)
    for key, double, single in _ATTRIBUTE.findall(found["attributes"]):
        key = key.lower()
        if key not in _EVERYWHERE and key not in _OWN.get(name, frozenset()):
            raise WordingRefused(f"this attribute of {name} is not allowed", line, key)
        fault = _fault(key, unescape(double or single), own, only_own)
        if fault is not None:
            raise WordingRefused(fault, line, key)


def _fault(key: str, value: str, own: Collection[str], only_own: bool) -> str | None:
    if key == "style" and (not _STYLE.fullmatch(value) or _BAD_STYLE.search(value)):
        return "this style is not allowed"
    if key in ("href", "src") and not _is_address(key, value, own, only_own):
        return "this address is not allowed (https, mailto, tel)"
    return None


def _is_address(key: str, value: str, own: Collection[str], only_own: bool) -> bool:
    if key == "href" and value in own:
        return True
    if only_own:
        return False
    return bool(_ADDRESS.fullmatch(value)) and (key == "href" or value.startswith("https://"))
