import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.colors import WHITE, contrast, palette


@given(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}"))
def test_text_is_legible_whatever_colour_a_garage_picks(color: str) -> None:
    colors = palette(color)
    assert contrast(colors.accent, colors.on_accent) >= 3.8
    assert contrast(colors.heading, WHITE) >= 4.5


@pytest.mark.parametrize("color", ["red", "#12345", "#123456;}", "url(http://x)", "#12345G"])
def test_only_plain_colours_reach_the_stylesheet(color: str) -> None:
    with pytest.raises(ValueError, match="#rrggbb"):
        palette(color)
