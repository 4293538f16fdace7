import pytest

from workers.edge.choices import COMMON_PASSWORDS, check_password, check_pin
from workers.edge.errors import EdgeError


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password1!",
        "iloveyou",
        "ILOVEYOU",
        "football2026",
        "12345678",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "nele-nieuw-1",
        "Mijn-NELE-nieuw",
    ],
)
def test_what_guessers_try_first_is_refused(password: str) -> None:
    with pytest.raises(EdgeError, match="password_too_common"):
        check_password(password, "Nele-Nieuw@example.test" if "nieuw" in password else "nele@example.test")


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "password", ["vier-paarden-in-mei", "Carla-wacht-2026!", "Ünïcödé wörds 9", "x" * 124 + "abcd"]
)
def test_any_other_of_a_good_length_will_do(password: str) -> None:
    check_password(password, "nele@example.test")
    check_password(password)


@pytest.mark.req("P3")
def test_the_list_holds_the_commonest_and_they_are_in_lower_case() -> None:
    assert len(COMMON_PASSWORDS) >= 10_000
    assert {"123456789", "password1", "qwertyuiop", "baseball"} <= COMMON_PASSWORDS
    assert all(password == password.casefold() for password in COMMON_PASSWORDS)


@pytest.mark.req("P3")
def test_pins_that_everybody_tries_are_refused_and_few_others() -> None:
    def is_refused(pin: str) -> bool:
        try:
            check_pin(pin)
        except EdgeError as error:
            assert error.code == "pin_too_weak"
            return True
        return False

    weak = [
        "000000",
        "123456",
        "654321",
        "890123",
        "121212",
        "123123",
        "123321",
        "112112",
        "864208",
        "100000",
    ]
    assert [pin for pin in weak if not is_refused(pin)] == []
    assert [pin for pin in ("481516", "234299", "270951", "135792") if is_refused(pin)] == []
    assert sum(is_refused(f"{number:06}") for number in range(1_000_000)) < 10_000
