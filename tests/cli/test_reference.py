"""The generated pages: what is found in SQL, in Python and in the tests' markers."""

from pathlib import Path

import pytest

from cli.reference.errors_page import errors_page
from cli.reference.python_errors import CodedError, coded_errors
from cli.reference.requirements_page import collect, marked_tests, read_register, requirements_page
from cli.reference.sql_refusals import Refusal, refusals

ROOT = Path(__file__).parents[2]


def test_a_refusal_is_read_with_its_status() -> None:
    sql = "perform private.refuse('gone', 'It''s gone', 'Look (here), please', 404);"
    assert list(refusals(sql)) == [Refusal("gone", 404, "It's gone", "Look (here), please")]


def test_a_formatted_message_is_read_and_the_status_defaults_to_422() -> None:
    sql = "private.refuse('closed',\n  format('The module \"%s\" is off', lower(x)),\n  'Switch it on');"
    assert list(refusals(sql)) == [Refusal("closed", 422, 'The module "%s" is off', "Switch it on")]


def test_the_definition_of_refuse_is_not_a_refusal() -> None:
    assert list(refusals("create function private.refuse(code text, message text) returns void")) == []


def test_every_refusal_of_the_project_is_on_the_page() -> None:
    page = errors_page(ROOT)
    for path in (ROOT / "supabase").rglob("*.sql"):
        for refusal in refusals(path.read_text()):
            assert f"`{refusal.code}`" in page


def test_one_code_never_has_two_statuses() -> None:
    statuses: dict[str, set[int]] = {}
    for path in (ROOT / "supabase/migrations").glob("*.sql"):
        for refusal in refusals(path.read_text()):
            statuses.setdefault(refusal.code, set()).add(refusal.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_coded_errors_are_read_from_source() -> None:
    source = (
        'raise Misuse("bad_call", f"{name} is bad", "because", fix="do this")\n'
        'raise StackError("It broke", fix="mend it", code="broken")\n'
        'raise StackError("No code")\n'
        "raise CommandFailed(error.code, what, why, fix)\n"
    )
    assert sorted(coded_errors(source)) == [
        CodedError("bad_call", 2, "… is bad", "do this"),
        CodedError("broken", 1, "It broke", "mend it"),
    ]


def test_markers_are_found_on_functions_classes_parameters_and_modules() -> None:
    source = """
import pytest
pytestmark = pytest.mark.req("S1")

@pytest.mark.req("D1", "D2")
def test_one(): ...

@pytest.mark.req("P1")
class TestThings:
    async def test_two(self): ...
    def helper(self): ...

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.req("G1"))])
def test_three(x): ...
"""
    assert set(marked_tests(source)) == {
        ("test_one", "S1"),
        ("test_one", "D1"),
        ("test_one", "D2"),
        ("TestThings::test_two", "S1"),
        ("TestThings::test_two", "P1"),
        ("test_three", "S1"),
        ("test_three", "G1"),
    }


def test_an_id_nobody_registered_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/requirements.txt").write_text("# ids\nD1 tenancy\nD2 modules\n")
    (tmp_path / "tests").mkdir()
    test = tmp_path / "tests/test_a.py"
    test.write_text('import pytest\n@pytest.mark.req("D1")\ndef test_a(): ...\n')
    page = requirements_page(tmp_path)
    assert "## D1 tenancy\n\n- `tests/test_a.py::test_a`" in page
    assert "- D2 modules" in page
    test.write_text(test.read_text().replace("D1", "Z9"))
    with pytest.raises(ValueError, match="Z9"):
        requirements_page(tmp_path)


def test_every_marker_of_the_project_names_a_registered_requirement() -> None:
    register = read_register((ROOT / "docs/requirements.txt").read_text())
    assert set(collect(ROOT)) <= set(register)
