import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.gsm import BASIC, EXTENSION, Measure, measure, plain

# (text, encoding, characters, segments)
KNOWN = [
    ("", "GSM-7", 0, 0),
    ("a" * 160, "GSM-7", 160, 1),
    ("a" * 161, "GSM-7", 161, 2),
    ("a" * 306, "GSM-7", 306, 2),
    ("a" * 307, "GSM-7", 307, 3),
    ("€" * 80, "GSM-7", 160, 1),
    ("€" * 81, "GSM-7", 162, 2),
    # 153 is odd: the euro that would be cut in two goes into the next part, and one septet stays empty.
    ("€" * 153, "GSM-7", 306, 3),
    ("ë" * 70, "UCS-2", 70, 1),
    ("ë" * 71, "UCS-2", 71, 2),
    ("ë" * 134, "UCS-2", 134, 2),
    ("ë" * 135, "UCS-2", 135, 3),
    ("🚗" * 35, "UCS-2", 70, 1),
    ("🚗" * 36, "UCS-2", 72, 2),
    ("🚗" * 67, "UCS-2", 134, 3),
]


@pytest.mark.req("D8")
@pytest.mark.parametrize(("text", "encoding", "characters", "segments"), KNOWN)
def test_the_segments_of_known_texts(text: str, encoding: str, characters: int, segments: int) -> None:
    found = measure(text)
    assert (found.encoding, found.characters, found.segments) == (encoding, characters, segments)


@pytest.mark.req("D8")
def test_the_alphabet_is_that_of_the_standard() -> None:
    assert len(BASIC) == 127  # 128 places, one of them the escape
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION
    assert "Ç" in BASIC and "ç" not in BASIC


@pytest.mark.req("D8")
def test_characters_that_make_it_dearer_are_named_once_each() -> None:
    assert measure("Zoë, Noël, ça va ✓").foreign == ("ë", "ç", "✓")
    assert measure("Zoé").foreign == ()


@pytest.mark.req("D8")
def test_typography_becomes_plain_and_names_stay() -> None:
    text = plain("“Zoë” – ça va… €\xa01.234,50 l’auto")
    assert text == '"Zoë" - ça va... € 1.234,50 l\'auto'
    assert measure(plain("Carla’s auto – €\xa012")).encoding == "GSM-7"


@pytest.mark.req("D8")
@given(st.text(max_size=700))
def test_segments_hold_what_they_are_said_to_hold(text: str) -> None:
    found = measure(text)
    alone, joined = {"GSM-7": (160, 153), "UCS-2": (70, 67)}[found.encoding]
    if found.characters <= alone:
        assert found.segments == bool(text)
    else:
        # At most one place per part stays empty, for what must not be cut.
        assert found.segments >= -(-found.characters // joined)
        assert found.segments <= -(-found.characters // (joined - 1))
    if found.encoding == "UCS-2":
        assert found.characters == len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert isinstance(found, Measure)
