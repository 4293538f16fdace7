"""The HTML of a garage's mail: what is not listed is refused, and what goes out was written by us."""

from contextlib import suppress
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.fragments import TAGS, rebuilt
from workers.core.kinds import KINDS
from workers.core.payload import LOCALES
from workers.core.rendering import WordingRefused
from workers.core.shipped import shipped

pytestmark = pytest.mark.req("D8")

OWN = "http://127.0.0.1:54321/portal/#t=1&u=2"
GOOD = [
    "<p>Dag</p>",
    "Dag & welkom, 1 &lt; 2 > 0",
    '<p style="margin:0 0 8px;color:#12365c">a<br>b</p>',
    '<a href="https://www.garage.be/x?y=1&amp;z=2" target="_blank">x</a>',
    '<a href="mailto:info@garage.be">x</a><a href="tel:+32 3 123 45 67">y</a>',
    '<img src="https://www.garage.be/logo.png" alt="" width="120">',
    '<table role="presentation" cellpadding="0"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
    "<ul><li>a</li><li>b</li></ul><hr>",
    "<P>hoofdletters</P><BR/><br />",
]
BAD = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.test>",
    "<img src=x onerror=alert(1)>",
    '<img src="x" onerror="alert(1)">',
    '<img src="http://garage.be/x.png">',
    '<img src="data:image/png;base64,AAAA">',
    '<img src="mailto:a@b.be">',
    '<p onclick="alert(1)">x</p>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="java&#115;cript:alert(1)">x</a>',
    '<a href=" https://x.be">x</a>',
    '<a href="https://x.be\n.evil.test">x</a>',
    '<a href="//evil.test">x</a>',
    '<a href="http://garage.be">x</a>',
    '<a href="/relative">x</a>',
    '<a href="data:text/html,x">x</a>',
    '<a href="mailto:a@b.be?body=x">x</a>',
    '<a href="https://x.be" ping="https://evil.test">x</a>',
    "<a href=https://x.be>x</a>",
    "<iframe src='https://x.be'></iframe>",
    "<form action='https://x.be'><input></form>",
    "<object></object>",
    "<embed>",
    "<svg><a/></svg>",
    "<math></math>",
    "<style>p{}</style>",
    "<link rel='stylesheet' href='https://x.be'>",
    "<meta http-equiv='refresh' content='0'>",
    "<base href='https://x.be'>",
    "<title>x</title>",
    "<html><body>x</body></html>",
    "<!DOCTYPE html>",
    "<!-- x -->",
    "<!--[if mso]><p>x</p><![endif]-->",
    "<![CDATA[x]]>",
    "<?php x ?>",
    "<p style=\"background:url(https://evil.test)\">x</p>",
    "<p style=\"background:u\\72l(x)\">x</p>",
    "<p style=\"width:expression(alert(1))\">x</p>",
    "<p style=\"position:fixed\">x</p>",
    "<p style=\"a/**/b:c\">x</p>",
    "<p style=\"@import x\">x</p>",
    "<p class='x'>x</p>",
    "<p id='x'>x</p>",
    "<p>nooit gesloten",
    "<p><b>verkeerd</p></b>",
    "</p>",
    "</br>",
    "a < b",
    "<",
    "<p",
    "<p style='x",
    "<p/style='x'>x</p>",
    "<p\x00>x</p>",
    "<p <b>>x</p>",
]  # fmt: skip


@pytest.mark.parametrize("html", GOOD)
def test_what_a_mail_is_made_of_goes_out(html: str) -> None:
    once = rebuilt(html)
    assert rebuilt(once) == once
    assert text_of(once) == text_of(html)


@pytest.mark.parametrize("html", BAD)
def test_what_is_not_listed_is_refused_with_its_line(html: str) -> None:
    with pytest.raises(WordingRefused) as caught:
        rebuilt(f"<p>x</p>\n{html}")
    assert caught.value.line == 2 or "never closed" in caught.value.reason


def test_an_address_of_ours_is_followed_even_in_the_local_stack() -> None:
    link = f'<a href="{OWN.replace("&", "&amp;")}">x</a>'
    assert rebuilt(link, [OWN]) == link
    assert rebuilt(link, [OWN], only_own=True) == link
    with pytest.raises(WordingRefused):
        rebuilt(link)


@pytest.mark.parametrize("html", [GOOD[3], GOOD[4], GOOD[5]])
def test_a_message_about_access_leads_only_to_us_and_shows_no_picture(html: str) -> None:
    with pytest.raises(WordingRefused):
        rebuilt(html, [OWN], only_own=True)
    assert rebuilt(html)


def test_what_the_customer_is_called_is_not_in_what_is_kept() -> None:
    with pytest.raises(WordingRefused) as caught:
        rebuilt("<p carla>x</p>")
    assert "carla" in caught.value.problem
    assert "carla" not in caught.value.cause


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_ships_is_made_of_the_same_tags(kind: str, locale: str) -> None:
    html = shipped(kind, "email", locale).html  # type: ignore[arg-type]
    assert html is not None and "{{" in html


class Reader(HTMLParser):
    """What another parser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def text_of(html: str) -> str:
    return read(html).text


def _is_harmless(found: Reader) -> None:
    assert not found.odd
    for tag, attributes in found.seen:
        assert tag in TAGS
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src"):
            assert (attributes.get(name) or "https:").split(":")[0] in ("https", "mailto", "tel")


PIECES = st.sampled_from(
    [
        *("<p>", "</p>", "<b>", "</b>", "<br>", "<a ", "href=", '"', "'", ">", "<", "/", "</a>", "<img src="),
        *("https://x.be", "javascript:alert(1)", "style=", "url(x)", "color:red", "onerror=", "x", " ", "\n"),
        *(
            "&lt;script&gt;",
            "&#60;",
            "&quot;",
            "&",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "\x00",
            "é",
            "=`",
        ),
    ]
)


@given(st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(max_size=60)))
def test_no_parser_reads_anything_else_in_what_goes_out(html: str) -> None:
    try:
        found = read(rebuilt(html))
    except WordingRefused:
        return
    _is_harmless(found)


@pytest.mark.parametrize("html", BAD)
def test_what_our_check_would_let_through_is_still_not_written(
    html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.core.fragments._check", lambda *_: None)
    with suppress(WordingRefused):
        _is_harmless(read(rebuilt(html)))
