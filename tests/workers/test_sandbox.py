"""What a garage may write never reaches the worker: attacks, bombs, and whatever anybody may type."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.accounts import Wording
from workers.core.checking import problem_of
from workers.core.payload import LOCALES
from workers.core.sandbox import (
    DEEPEST,
    LONGEST_OUTPUT,
    LONGEST_SOURCE,
    WordingRefused,
    placeholders,
    render,
)

pytestmark = pytest.mark.req("D8")

VALUES: dict[str, Any] = {"name": "Carla", "amount": 12, "nothing": None, "yes": True, "locale": "nl"}
NAMES = frozenset(VALUES) - {"locale"}

ATTACKS = [
    "{{ ''.__class__ }}",
    "{{ name.__class__.__mro__ }}",
    "{{ name['__class__'] }}",
    "{{ name|attr('__class__') }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self }}",
    "{{ config }}",
    "{{ lipsum() }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace }}",
    "{{ request }}",
    "{{ joiner() }}",
    "{{ range(10**9) }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for c in name %}{{ c }}{% endfor %}",
    "{{ 10**10**10 }}",
    "{{ 'x' * 10**9 }}",
    "{{ name * 1000000000 }}",
    "{{ amount * 2 }}",
    "{{ amount / 0 }}",
    "{{ name ~ name }}",
    "{{ name + name }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ '%0999999999d'|format(1) }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ 'x'|center(999999999) }}",
    "{{ 'x'|indent(999999999) }}",
    "{{ 'aa'|replace('a', 'aaaaaaaaaaaa') }}",
    "{{ name|safe }}",
    "{{ name|tojson }}",
    "{{ name|map('upper')|list }}",
    "{{ name|pprint }}",
    "{{ [name] }}",
    "{{ {'a': name} }}",
    "{{ (name, name) }}",
    "{{ name[0:1] }}",
    "{{ name is callable }}",
    "{{ name is sameas(name) }}",
    "{{ name is in('x') }}",
    "{{ name|date(style='long') }}",
    "{{ name|default(*name) }}",
    "{{ name|default(**name) }}",
    "{% include 'messages/layout.html.j2' %}",
    "{% include '/etc/passwd' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'messages/layout.html.j2' %}",
    "{% block a %}{% endblock %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% call name() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set x = name %}{{ x }}",
    "{% set x %}y{% endset %}",
    "{% with x = name %}{{ x }}{% endwith %}",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "{% do name %}",
    "{% trans %}x{% endtrans %}",
    "{% debug %}",
    "{{ unknown }}",
    "{{ locale }}",
    "{{ loop }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ _ }}",
    "{{ none.x }}",
    "{{ name }",
    "{{ name",
    "{% if name %}",
    "{% endif %}",
    "{% if %}{% endif %}",
    "{% nonsense %}",
    "{{ }}",
    "{{ 'x }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ amount|money|money }}",
    "{{ name|money }}",
    "{{ name|date }}",
    "{{ name > 3 }}",
    "{{ name|upper('x', 'y') }}",
    "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}",
    "{{ " + "not " * 5000 + "name }}",
    "{{ " + "-" * 5000 + "amount }}",
    "{{ name" + "|upper" * 5000 + " }}",
    "{{ name" + "|upper" * (DEEPEST + 1) + " }}",
    "{% if yes %}" * 500 + "{% endif %}" * 500,
    "{% if yes %}x{% else %}" * 60 + "{% endif %}" * 60,
    "{{ name if yes else " * 200 + "name" + " }}" * 200,
    "{{ name }}" * 5000,
    "x" * (LONGEST_SOURCE + 1),
]


@pytest.mark.parametrize("source", ATTACKS, ids=lambda source: source[:50])
@pytest.mark.parametrize("is_html", [False, True], ids=["text", "html"])
def test_what_could_do_harm_is_refused_and_said_in_words(source: str, is_html: bool) -> None:
    with pytest.raises(WordingRefused) as caught:
        render(source, VALUES, NAMES, is_html=is_html)
    assert 3 < len(caught.value.problem) <= 500
    assert "Carla" not in caught.value.problem
    assert "Traceback" not in caught.value.problem


GOOD = {
    "Dag {{ name }}": "Dag Carla",
    "{{ name|upper|lower }}": "carla",
    "{% if yes and not nothing %}a{% else %}b{% endif %}": "a",
    "{% if amount >= 12 and amount != 13 %}a{% elif yes %}b{% endif %}": "a",
    "{{ 'ja' if nothing is none else 'nee' }}": "ja",
    "{{ nothing }}{{ nothing|default('-') }}{{ yes }}": "-ja",
    "{# niets #}{% raw %}{{ name }}{% endraw %}": "{{ name }}",
    "{{ -amount }}": "-12",
    "{{ amount|money }}": "€\xa012,00",
    "{{ name" + "|upper" * (DEEPEST - 4) + " }}": "CARLA",
    "{{ name }}" * 1900: "Carla" * 1900,
}


@pytest.mark.parametrize("source", GOOD, ids=lambda source: source[:50])
def test_what_does_none_is_said(source: str) -> None:
    assert render(source, VALUES, NAMES) == GOOD[source]


def test_the_reason_names_the_line_and_what_was_meant() -> None:
    with pytest.raises(WordingRefused) as caught:
        render("Dag\n\n{{ nmae }}", VALUES, NAMES)
    assert caught.value.problem == "line 3: unknown variable: nmae (did you mean name?)"
    with pytest.raises(WordingRefused, match="unknown filter: muney"):
        render("{{ amount|muney }}", VALUES, NAMES)


def test_a_value_is_never_read_as_a_template() -> None:
    values = {**VALUES, "name": "{{ amount }}{% for x in y %}"}
    assert render("{{ name }}", values, NAMES) == "{{ amount }}{% for x in y %}"
    assert render("{{ name|upper }}", values, NAMES) == "{{ AMOUNT }}{% FOR X IN Y %}"


def test_markup_in_a_value_is_text_in_html() -> None:
    values = {**VALUES, "name": '<b onclick="x">&'}
    for source in ("{{ name }}", "{{ name|fact(name) }}", "{{ name|button(name) }}", "{{ name|upper }}"):
        said = render(source, values, NAMES, is_html=True)
        assert "<b " not in said.lower()
        assert "&lt;b" in said.lower()


def test_a_message_is_as_long_as_it_may_be_and_no_longer() -> None:
    values = {**VALUES, "name": "x" * 4000}
    assert len(render("{{ name }}" * (LONGEST_OUTPUT // 4000), values, NAMES)) == LONGEST_OUTPUT
    with pytest.raises(WordingRefused, match="is longer than"):
        render("{{ name }}" * (LONGEST_OUTPUT // 4000) + "x", values, NAMES)
    with pytest.raises(WordingRefused, match="too long"):
        render("{{ name }}", {**VALUES, "name": "x" * 4001}, NAMES)


def test_whatsapp_gets_numbers_for_what_varies() -> None:
    text, said = placeholders("Dag {{ name }}, {{ amount|money }}: {{ name }}.", VALUES, NAMES)
    assert text == "Dag {{1}}, {{2}}: {{3}}."
    assert said == ["Carla", "€\xa012,00", "Carla"]
    with pytest.raises(WordingRefused, match="line 1: an approved template of WhatsApp has no if"):
        placeholders("Dag{% if yes %} {{ name }}{% endif %}", VALUES, NAMES)


# Pieces that make something of a template, often broken, now and then whole.
PIECES = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "#}", " name ", " amount ", " yes ", "|upper", "|money", "|date"),
        *(
            "('long')",
            ' "',
            "'",
            " if ",
            " else ",
            " elif ",
            " endif ",
            " for x in ",
            " endfor ",
            " set x = ",
        ),
        *("(", ")", "[", "]", ".__class__", ".", ",", " ~ ", " ** ", " * ", "10", "1.5", " and ", " not "),
        *(" == ", " > ", " is none", " in ", "\n", "-", "+", "{{ name }}", "{% if yes %}", "{% endif %}"),
        *("<p>", "</p>", "<a href='https://x.be'>", "</a>", "<script>", "&amp;", "\x00", "\u202e", "é", "🚗"),
    ]
)
SOURCES = st.one_of(
    st.lists(PIECES, max_size=25).map("".join),
    st.text(max_size=200),
    st.text(string.printable, max_size=200),
)


@given(SOURCES, st.booleans())
def test_whatever_is_written_is_said_or_refused_and_nothing_else(source: str, is_html: bool) -> None:
    try:
        said = render(source, VALUES, NAMES, is_html=is_html)
    except WordingRefused as refusal:
        assert refusal.problem
    else:
        assert len(said) <= LONGEST_OUTPUT


@given(SOURCES, SOURCES, SOURCES, st.sampled_from(LOCALES))
def test_whatever_is_saved_gets_a_verdict(subject: str, text: str, html: str, locale: Any) -> None:
    mail = Wording(version=1, subject=subject, text=text, html=html, content_sid=None)
    problem_of("invoice_issued", "email", locale, mail)
    problem_of("portal_invited", "email", locale, mail)
    short = Wording(version=1, subject=None, text=text, html=None, content_sid="HX" + "0" * 32)
    problem_of("payment_reminder", "whatsapp", locale, short)
    problem_of("work_ready", "sms", locale, short)
