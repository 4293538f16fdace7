"""The demo's own arithmetic and bookkeeping: a demo that cannot fail proves nothing."""

import pytest

from cli.commands.demo.billing import LINES, expected_totals, is_structured_communication
from cli.commands.demo.facts import Facts
from cli.commands.demo.tokens import with_claims
from cli.commands.invoices import what


def test_the_expected_totals_round_half_cents_up_and_take_vat_per_rate() -> None:
    assert expected_totals(LINES) == [
        {"rate": "21.00", "base": "105.88", "vat": "22.23"},
        {"rate": "6.00", "base": "48.01", "vat": "2.88"},
    ]


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("+++090/9337/55493+++", True),
        ("+++090/9337/55494+++", False),
        ("+++000/0000/09797+++", True),
        ("090/9337/55493", False),
    ],
)
def test_a_structured_communication_is_checked_modulo_97(text: str, is_right: bool) -> None:
    assert is_structured_communication(text) is is_right


def test_a_claim_that_does_not_hold_makes_the_facts_false() -> None:
    facts = Facts()
    facts.step("A step")
    facts.prove("right", True, 1)
    facts.deny("Otto", control="Rita may", expected=0, actual=0)
    assert facts.as_json()["ok"] is True
    facts.deny("Karel", control="Carla may", expected=404, actual=200)
    found = facts.as_json()
    assert found["ok"] is False
    assert found["failures"] == ["Karel is refused (Carla may): 200"]
    assert [denial["ok"] for denial in found["denials"]] == [True, False]


def test_a_tampered_token_keeps_header_and_signature() -> None:
    token = "aGVhZGVy.eyJzdWIiOiAiY2FybGEiLCAicm9sZSI6ICJwb3J0YWwifQ.c2ln"
    header, payload, signature = with_claims(token, sub="karel").split(".")
    assert (header, signature) == ("aGVhZGVy", "c2ln")
    assert payload != token.split(".")[1]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            {
                "source": "audit",
                "detail": {"changed": ["status", "attempt"], "changes": {"status": ["a", "b"]}},
            },
            "status a -> b",
        ),
        ({"source": "audit", "detail": {"changed": ["note"], "changes": {}}}, "note"),
        (
            {
                "source": "delivery",
                "detail": {
                    "attempt": 2,
                    "reason": "timeout",
                    "provider": "sendgrid",
                    "provider_message_id": None,
                },
            },
            "attempt 2, timeout, sendgrid",
        ),
        ({"source": "access", "detail": {"session_id": "x", "client_ip": "127.0.0.1"}}, "from 127.0.0.1"),
        ({"source": "access", "detail": {"client_ip": None}}, ""),
    ],
)
def test_each_step_of_a_story_is_one_line(row: dict[str, object], line: str) -> None:
    assert what(row) == line
