"""The policies compiler: what it writes, and everything `check` refuses."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import policy_blocks
from cli.commands.policies import compile_policies
from cli.errors import CommandFailed, Misuse

BILLING = "40_billing.sql"
TEXT = "-- Invoices.\n\nalter table public.invoices enable row level security;\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "supabase/policies").mkdir(parents=True)
    (tmp_path / "supabase/migrations").mkdir()
    write(tmp_path, BILLING, TEXT)
    return tmp_path


def write(tree: Path, name: str, text: str) -> None:
    (tree / "supabase/policies" / name).write_text(text)


def migrations(tree: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (tree / "supabase/migrations").iterdir()}


def codes(tree: Path) -> list[str]:
    sources = {path.name: path.read_text() for path in (tree / "supabase/policies").iterdir()}
    return [problem.code for problem in policy_blocks.check(sources, migrations(tree))]


def compile_(tree: Path, message: str = "who may bill", timestamp: str | None = "20260101000000") -> str:
    return str(compile_policies(tree, message, timestamp)["migration"])


def test_a_compiled_migration_carries_the_full_text_between_markers(tree: Path) -> None:
    name = compile_(tree)
    assert name == "supabase/migrations/20260101000000_policies_who_may_bill.sql"
    text = (tree / name).read_text()
    opening, rest = text.split(f"-- >>> policies/{BILLING} sha256:")
    assert opening.startswith("-- who may bill\n")
    assert "set local lock_timeout" in opening
    sha256, body = rest.split("\n", 1)
    assert sha256 == policy_blocks.digest(TEXT)
    assert body == TEXT + "-- <<<\n"


def test_what_was_compiled_passes_the_check(tree: Path) -> None:
    assert codes(tree) == ["policy_stale"]
    compile_(tree)
    assert codes(tree) == []


def test_only_changed_files_are_compiled(tree: Path) -> None:
    write(tree, "10_tenancy.sql", "-- tenancy\n")
    compile_(tree)
    write(tree, BILLING, TEXT + "-- more\n")
    assert codes(tree) == ["policy_stale"]
    assert compile_policies(tree, "more", "20260101000001")["files"] == [BILLING]
    assert codes(tree) == []


def test_nothing_changed_writes_nothing(tree: Path) -> None:
    compile_(tree)
    before = migrations(tree)
    assert compile_policies(tree, "again", "20260101000001") == {"migration": None, "files": []}
    assert migrations(tree) == before


def test_a_file_set_back_to_an_older_text_is_compiled_again(tree: Path) -> None:
    compile_(tree)
    write(tree, BILLING, "-- other\n")
    compile_(tree, timestamp="20260101000001")
    write(tree, BILLING, TEXT)
    assert codes(tree) == ["policy_stale"]
    compile_(tree, timestamp="20260101000002")
    assert codes(tree) == []


def test_a_hand_edited_block_is_refused_and_blocks_compiling(tree: Path) -> None:
    path = tree / compile_(tree)
    path.write_text(path.read_text().replace("enable row", "disable row"))
    assert set(codes(tree)) == {"policy_block_edited", "policy_stale"}
    write(tree, BILLING, TEXT + "-- more\n")
    with pytest.raises(CommandFailed, match="blocks compiling"):
        compile_(tree, timestamp="20260101000001")


def test_an_older_block_edited_by_hand_is_refused_too(tree: Path) -> None:
    path = tree / compile_(tree)
    write(tree, BILLING, "-- other\n")
    compile_(tree, timestamp="20260101000001")
    path.write_text(path.read_text().replace("enable row", "disable row"))
    assert codes(tree) == ["policy_block_edited"]


def test_a_vanished_file_is_refused(tree: Path) -> None:
    compile_(tree)
    (tree / "supabase/policies" / BILLING).unlink()
    assert codes(tree) == ["policy_vanished"]


@pytest.mark.parametrize("broken", ["-- <<<\n", "-- >>> policies/40_billing.sql sha256:abc\n"])
def test_a_marker_out_of_place_is_refused(tree: Path, broken: str) -> None:
    compile_(tree)
    (tree / "supabase/migrations/20260101000001_odd.sql").write_text(broken)
    assert codes(tree) == ["policy_marker_broken"]


def test_a_block_that_is_never_closed_is_refused(tree: Path) -> None:
    path = tree / compile_(tree)
    path.write_text(path.read_text().replace("-- <<<\n", ""))
    assert set(codes(tree)) == {"policy_marker_broken", "policy_stale"}


def test_a_source_with_a_marker_line_is_not_compiled(tree: Path) -> None:
    write(tree, BILLING, "-- <<< look\n")
    with pytest.raises(CommandFailed) as refused:
        compile_(tree)
    assert refused.value.code == "policy_marker_in_source"
    assert migrations(tree) == {}


def test_a_misnamed_source_is_refused(tree: Path) -> None:
    write(tree, "billing.sql", "-- no number\n")
    assert "policy_name_invalid" in codes(tree)


def test_line_ends_and_trailing_blanks_do_not_count_as_a_change(tree: Path) -> None:
    compile_(tree)
    write(tree, BILLING, TEXT.replace("\n", "\r\n") + "\r\n\r\n")
    assert codes(tree) == []


def test_an_emptied_file_may_stay(tree: Path) -> None:
    compile_(tree)
    write(tree, BILLING, "")
    compile_(tree, timestamp="20260101000001")
    assert codes(tree) == []


@pytest.mark.parametrize("timestamp", ["20250101000000", "20260101000000", "soon"])
def test_a_migration_must_sort_after_the_newest(tree: Path, timestamp: str) -> None:
    (tree / "supabase/migrations/20260101000000_zebra.sql").write_text("select 1;\n")
    with pytest.raises(Misuse):
        compile_(tree, timestamp=timestamp)


@pytest.mark.parametrize("message", ["", "  ", "two\nlines"])
def test_a_message_is_one_line(tree: Path, message: str) -> None:
    with pytest.raises(Misuse):
        compile_(tree, message)


def test_the_default_timestamp_is_now_unless_the_newest_migration_is_later() -> None:
    now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    assert policy_blocks.next_timestamp(now, ["20260101000000_a.sql"]) == "20260501120000"
    assert policy_blocks.next_timestamp(now, ["20260501120000_a.sql"]) == "20260501120001"
    assert policy_blocks.next_timestamp(now, ["20261231235959_a.sql"]) == "20270101000000"


def test_compiling_is_deterministic(tree: Path) -> None:
    write(tree, "10_tenancy.sql", "-- tenancy\n")
    first = (tree / compile_(tree)).read_text()
    (tree / "supabase/migrations/20260101000000_policies_who_may_bill.sql").unlink()
    assert (tree / compile_(tree)).read_text() == first
    assert first.index("10_tenancy") < first.index("40_billing")


def test_the_policies_of_this_project_are_compiled() -> None:
    root = Path(__file__).parents[2] / "supabase"
    sources, compiled = (
        {path.name: path.read_text() for path in (root / room).glob("*.sql")}
        for room in ("policies", "migrations")
    )
    assert policy_blocks.check(sources, compiled) == []
