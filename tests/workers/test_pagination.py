from hypothesis import given
from hypothesis import strategies as st

from workers.core.pagination import Room, paginate

ROOM = Room(first=300, later=500, carry=20, closing=180)


@given(st.lists(st.floats(min_value=18, max_value=250), min_size=1, max_size=120))
def test_every_row_is_on_one_page_and_every_page_holds_its_rows_and_sums(heights: list[float]) -> None:
    pages = paginate(heights, ROOM)
    assert [row for page in pages for row in page] == list(range(len(heights)))
    for number, page in enumerate(pages):
        used = sum(heights[page.start : page.stop]) + (ROOM.carry if number and len(page) else 0)
        is_last = number == len(pages) - 1
        used += ROOM.closing if is_last else ROOM.carry
        assert used <= (ROOM.later if number else ROOM.first) + 1e-6


def test_the_totals_do_not_stand_alone_when_a_row_can_keep_them_company() -> None:
    assert paginate([20.0] * 12, ROOM) == [range(11), range(11, 12)]
