import asyncio
import io
import unicodedata

import pytest

from workers.edge import secrets as edge_secrets
from workers.edge.secrets import SecretVerifier, hash_secret, peppered, verify_secret

PEPPER = b"a pepper of the tests, 32 bytes!"


@pytest.mark.req("P4")
def test_the_stored_form_is_argon2id_with_46_mib() -> None:
    stored = hash_secret(PEPPER, "Carla-wacht-2026!")
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert stored != hash_secret(PEPPER, "Carla-wacht-2026!"), "the salt is new each time"
    assert verify_secret(PEPPER, "Carla-wacht-2026!", stored)
    assert not verify_secret(PEPPER, "carla-wacht-2026!", stored)


@pytest.mark.req("P4")
def test_a_stolen_table_is_no_use_without_the_pepper() -> None:
    stored = hash_secret(PEPPER, "481516")
    assert verify_secret(PEPPER, "481516", stored)
    assert not verify_secret(b"another pepper", "481516", stored)


@pytest.mark.req("P4")
def test_a_long_password_counts_to_its_last_character() -> None:
    password = "é" * 127 + "x"
    stored = hash_secret(PEPPER, password)
    assert verify_secret(PEPPER, password, stored)
    assert not verify_secret(PEPPER, "é" * 127 + "y", stored)
    assert not verify_secret(PEPPER, password.encode()[:72].decode(), stored)


def test_composed_and_decomposed_letters_are_one_password() -> None:
    assert peppered(PEPPER, unicodedata.normalize("NFD", "geheimé")) == peppered(PEPPER, "geheimé")


def test_a_damaged_stored_form_matches_nothing() -> None:
    for stored in ("", "secret", "$argon2id$v=19$m=47104,t=1,p=1$AAAA$BBBB"):
        assert not verify_secret(PEPPER, "secret", stored)


@pytest.mark.req("P3", "P4")
@pytest.mark.parametrize(
    ("password", "pin", "knows_password", "knows_pin", "expected"),
    [
        ("right-pw", "481516", True, True, True),
        ("wrong-pw", "481516", True, True, False),
        ("right-pw", "481517", True, True, False),
        ("right-pw", "481516", True, False, False),
        ("right-pw", "481516", False, True, False),
        ("right-pw", "481516", False, False, False),
    ],
)
def test_both_secrets_are_evaluated_whatever_is_known(
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    pin: str,
    knows_password: bool,
    knows_pin: bool,
    expected: bool,
) -> None:
    password_hash = hash_secret(PEPPER, "right-pw") if knows_password else None
    pin_hash = hash_secret(PEPPER, "481516") if knows_pin else None
    verifier = SecretVerifier({"": PEPPER}, threads=1)
    evaluated: list[str] = []

    def counting(pepper: bytes, secret: str, stored: str) -> bool:
        assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
        evaluated.append(secret)
        return verify_secret(pepper, secret, stored)

    monkeypatch.setattr(edge_secrets, "verify_secret", counting)
    assert asyncio.run(verifier.verify_pair(password, pin, password_hash, pin_hash)) is expected
    assert evaluated == [password, pin]


@pytest.mark.req("P4")
def test_an_older_pepper_verifies_and_the_first_one_hashes() -> None:
    old, new = b"an old pepper of thirty-two bytes", b"a new pepper of thirty-two bytes!"
    before = SecretVerifier({"": old}, threads=1)
    during = SecretVerifier({"p2": new, "": old}, threads=1)
    after = SecretVerifier({"p2": new}, threads=1)
    first = asyncio.run(before.hash("Carla-wacht-2026!"))
    second = asyncio.run(during.hash("Carla-wacht-2026!"))
    assert (before.is_outdated(first), during.is_outdated(first), during.is_outdated(second)) == (
        False,
        True,
        False,
    )
    assert first.count("#") == 0 and second.endswith("#p2")
    for verifier, knows in [(before, (True, False)), (during, (True, True)), (after, (False, True))]:
        answers = tuple(asyncio.run(verifier.verify("Carla-wacht-2026!", kept)) for kept in (first, second))
        assert answers == knows
        assert not asyncio.run(verifier.verify("Carla-wacht-2027!", second))


@pytest.mark.req("P4")
def test_a_hash_under_a_pepper_that_is_gone_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = SecretVerifier({"p2": PEPPER}, threads=1)
    evaluated: list[str] = []

    def always(pepper: bytes, secret: str, stored: str) -> bool:
        evaluated.append(stored)
        return True

    monkeypatch.setattr(edge_secrets, "verify_secret", always)
    assert asyncio.run(verifier.verify("password", "hash#p2"))
    assert not asyncio.run(verifier.verify("password", "hash#p1"))
    assert evaluated == ["hash#p2", "hash#p1"]


@pytest.mark.req("P4")
def test_a_dummy_opens_nothing_even_if_it_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = SecretVerifier({"": PEPPER}, threads=1)
    monkeypatch.setattr(edge_secrets, "verify_secret", lambda *_: True)
    assert asyncio.run(verifier.verify_pair("password", "481516", "hash", "hash"))
    for password_hash, pin_hash in [(None, None), ("hash", None), (None, "hash")]:
        assert not asyncio.run(verifier.verify_pair("password", "481516", password_hash, pin_hash))


def test_the_helper_prints_the_stored_form_of_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTEXOR_PORTAL_PEPPER", PEPPER.hex())
    monkeypatch.setattr("sys.stdin", io.StringIO("Karel-wacht-2026!\n"))
    edge_secrets.main()
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert verify_secret(PEPPER, "Karel-wacht-2026!", printed.strip())
