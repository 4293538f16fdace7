from hypothesis import given
from hypothesis import strategies as st

from workers.adapters.memory import MonospaceTypeface
from workers.core.text import REPLACEMENT, clean, clip, wrap

FACE = MonospaceTypeface()


def test_bidi_controls_and_other_invisible_characters_vanish() -> None:
    assert clean("EUR \u202e00.1\u202c\u200b\x07 total", FACE) == "EUR 00.1 total"


def test_what_the_font_lacks_becomes_its_plain_form_or_a_visible_mark() -> None:
    class Latin(MonospaceTypeface):
        def has(self, character: str) -> bool:
            return character.isascii()

    assert clean("\ufb01lter 🚗", Latin()) == f"filter {REPLACEMENT}"


@given(st.text(max_size=200), st.integers(min_value=20, max_value=200))
def test_no_wrapped_line_is_wider_than_its_column_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width, 10, FACE)
    assert all(FACE.width(line, 10) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert wrap("a" * 25, 50, 10, FACE) == ("a" * 10, "a" * 10, "a" * 5)


def test_what_is_clipped_says_so() -> None:
    assert clip(("one", "two", "three"), 2) == ("one", "tw…")
