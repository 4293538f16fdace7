"""Every foreseen failure is three lines with a stable code, and an exit code that says whose fault it is."""

import json
import sys

import httpx
import pytest
from postgrest import APIError
from storage3.exceptions import StorageApiError
from supabase_auth.errors import AuthApiError, AuthRetryableError

from cli import main
from cli.errors import CommandFailed, Misuse, explain, report


def test_a_refusal_of_the_database_keeps_its_code_message_and_hint() -> None:
    error = APIError(
        {
            "code": "PT409",
            "message": "Already issued",
            "details": "invoice_already_issued",
            "hint": "Credit it",
        }
    )
    explained = explain(error)
    assert explained is not None
    assert (explained.code, explained.what, explained.fix) == (
        "invoice_already_issued",
        "Already issued",
        "Credit it",
    )


def test_other_errors_of_the_api_keep_their_sqlstate() -> None:
    explained = explain(
        APIError({"code": "42501", "message": "permission denied", "details": None, "hint": None})
    )
    assert explained is not None
    assert (explained.code, explained.what) == ("42501", "permission denied")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthApiError("Invalid login credentials", 400, "invalid_credentials"), "invalid_credentials"),
        (AuthRetryableError("no connection", 0), "api_unreachable"),
        (httpx.ConnectError("refused"), "api_unreachable"),
        (StorageApiError("Object not found", "NoSuchKey", 404), "NoSuchKey"),
    ],
)
def test_errors_of_the_clients_become_three_lines(error: Exception, code: str) -> None:
    explained = explain(error)
    assert explained is not None
    assert explained.code == code
    assert all((explained.what, explained.why, explained.fix))


def test_an_unforeseen_error_is_not_explained_away() -> None:
    assert explain(RuntimeError("boom")) is None


def test_the_report_is_three_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report(CommandFailed("a_code", "What [happened]", "why", "how"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "Error: What [happened] [a_code]\n  why: why\n  fix: how\n"


@pytest.mark.parametrize(
    ("error", "code"), [(CommandFailed("c", "w", "y", "f"), 1), (Misuse("c", "w", "y", "f"), 2)]
)
def test_the_exit_code_tells_failure_from_misuse(
    monkeypatch: pytest.MonkeyPatch, error: CommandFailed, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["invoices", "list"], 2), (["no-such-noun"], 2), (["--help"], 0), (["stack", "--help"], 0)],
)
def test_the_real_program_exits_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    for name in ("AUTEXOR_API_URL", "API_URL", "ANON_KEY", "AUTEXOR_ANON_KEY", "AUTEXOR_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["autexor", *arguments])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_check_with_problems_prints_them_as_data_and_exits_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tree = tmp_path_factory.mktemp("tree")
    (tree / "supabase/policies").mkdir(parents=True)
    (tree / "supabase/policies/10_a.sql").write_text("-- a\n")
    monkeypatch.setattr("cli.commands.policies.ROOT", tree)
    monkeypatch.setattr(sys, "argv", ["autexor", "policies", "check", "--json"])
    with pytest.raises(SystemExit) as left:
        main.main()
    said = capsys.readouterr()
    assert left.value.code == 1
    assert [problem["code"] for problem in json.loads(said.out)] == ["policy_stale"]
    assert "[policy_stale]" in said.err
