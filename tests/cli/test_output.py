"""The one printer: what goes to stdout, what to stderr, in which shape."""

import json
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from cli.asking import confirm
from cli.output import emit, emit_text, emit_words, progress, tell

ROWS = [
    {"id": "a", "total": Decimal("1.10"), "paid": None},
    {"id": "b", "total": Decimal("2.00"), "paid": True},
]


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.output._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")


def test_json_is_one_document_with_nulls_and_exact_amounts(capsys: pytest.CaptureFixture[str]) -> None:
    emit(ROWS, as_json=True, columns=["id"])
    assert json.loads(capsys.readouterr().out) == [
        {"id": "a", "total": "1.10", "paid": None},
        {"id": "b", "total": "2.00", "paid": True},
    ]


def test_json_knows_dates_and_ids_and_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit({"on": date(2026, 1, 2), "id": UUID(int=1)}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"on": "2026-01-02", "id": str(UUID(int=1))}
    with pytest.raises(TypeError):
        emit({"thing": object()}, as_json=True)


def test_quiet_prints_ids_alone(capsys: pytest.CaptureFixture[str]) -> None:
    emit([*ROWS, {"id": None}], quiet=True)
    assert capsys.readouterr().out == "a\nb\n"


def test_a_pipe_gets_lines_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    emit(ROWS, columns=["id", "paid", "total"])
    assert capsys.readouterr().out == "a\t\t1.10\nb\tyes\t2.00\n"
    emit({"name": "two\nlines\tand a tab", "tags": ["x"]})
    assert capsys.readouterr().out == 'name\ttwo lines and a tab\ntags\t["x"]\n'


@pytest.mark.usefixtures("on_a_terminal")
def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    emit(ROWS, columns=["id", "total"], title="Totals")
    shown = capsys.readouterr().out
    assert "Totals" in shown and "1.10" in shown and "paid" not in shown


@pytest.mark.usefixtures("on_a_terminal")
def test_data_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"id": "[red]a[/red]"}])
    emit({"id": "[/nothing]"})
    shown = capsys.readouterr().out
    assert "[red]a[/red]" in shown and "[/nothing]" in shown


# A screen cleared, a title set, a link, the same in one character (C1), text turned around, a line rewritten.
ATTACKS = (
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\",
    "\x9b2J",
    "\u202elive",
    "\x08\x7f\rgone",
)
COMMANDS = {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x202E, 0x2066)}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_a_stranger_wrote_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, attack: str, is_terminal: bool
) -> None:
    monkeypatch.setattr("cli.output._is_terminal", lambda: is_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    text = f"Dag {attack} 💬 é"
    emit([{"id": text, "tags": [text]}])
    emit({"id": text}, title="Dag 💬")
    emit({"id": text}, quiet=True)
    tell(text)
    said = capsys.readouterr()
    shown = "".join(set(said.out + said.err) - ({"\t", "\x1b"} if not is_terminal else {"\x1b"}))
    assert not COMMANDS & set(shown) and attack not in said.out + said.err
    assert said.out.count("Dag") >= 4 and "💬 é" in said.out and "💬 é" in said.err
    emit_words(f"{text}\n<p>")
    words = capsys.readouterr().out
    assert words.endswith("\n<p>\n")
    assert (text not in words and not COMMANDS & set(words)) if is_terminal else words == f"{text}\n<p>\n"
    emit({"id": text}, as_json=True)
    document = capsys.readouterr().out
    assert not COMMANDS & set(document)
    assert json.loads(document) == {"id": text}, "a program gets it as it was written"


@pytest.mark.usefixtures("on_a_terminal")
def test_a_title_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"id": "x" * 40}], title="[red]Noord[/red]\x9b2J")
    assert "[red]Noord[/red]\ufffd2J" in capsys.readouterr().out


def test_a_question_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question) or True)
    confirm("Karel\x1b[2J\n?", yes=False)
    assert asked == ["Karel\ufffd[2J ?"]
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("on_a_terminal")
def test_an_empty_list_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    emit([])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Nothing found.\n")


def test_talk_goes_to_stderr_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tell("a [note] " + "long " * 60, style="red")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "a [note] " + "long " * 60 + "\n"


def test_progress_is_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Rendering"):
        emit_text("done")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("done\n", "Rendering …\n")
