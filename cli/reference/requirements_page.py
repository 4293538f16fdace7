"""docs/requirements.md: which test shows which requirement, from the `req` markers of the tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

from cli.reference.markdown import page

REGISTER = Path("docs/requirements.txt")
TEST_ROOMS = ("sql_tests", "tests")

Marks = dict[str, list[str]]


def requirements_page(root: Path) -> str:
    """The page. Raises ValueError when a marker names an id that docs/requirements.txt does not have."""
    names = read_register((root / REGISTER).read_text(encoding="utf-8"))
    marks = collect(root)
    unknown = sorted(set(marks) - set(names))
    if unknown:
        raise ValueError(f"unknown requirement ids: {', '.join(unknown)}")
    shown = [_section(key, names[key], marks[key]) for key in names if key in marks]
    missing = [f"- {key} {names[key]}" for key in names if key not in marks]
    return page(
        "Requirements and the tests that show them",
        f"{len(shown)} of {len(names)} have a test.",
        *shown,
        "## Without a test",
        "\n".join(missing) or "None.",
    )


def _section(key: str, name: str, tests: list[str]) -> str:
    return "\n".join([f"## {key} {name}", "", *(f"- `{test}`" for test in tests)])


def read_register(text: str) -> dict[str, str]:
    """Id to name, in the order of the register: one `D7 invoices` per line, `#` begins a comment."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def collect(root: Path) -> Marks:
    """Id to the tests marked with it, as `file::test`, sorted."""
    marks: dict[str, set[str]] = {}
    for room in TEST_ROOMS:
        for path in sorted((root / room).rglob("test_*.py")):
            name = path.relative_to(root).as_posix()
            for test, key in marked_tests(path.read_text(encoding="utf-8")):
                marks.setdefault(key, set()).add(f"{name}::{test}")
    return {key: sorted(tests) for key, tests in marks.items()}


def marked_tests(source: str) -> Iterator[tuple[str, str]]:
    """(test, id) for every marker on a test function, its class or the whole module (`pytestmark`)."""
    tree = ast.parse(source)
    module_keys = [key for node in tree.body if _is_pytestmark(node) for key in _keys(node)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inherited = module_keys + [key for mark in node.decorator_list for key in _keys(mark)]
            for inner in node.body:
                yield from _of_test(inner, inherited, prefix=f"{node.name}::")
        else:
            yield from _of_test(node, module_keys)


def _of_test(node: ast.stmt, inherited: list[str], prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
        own = [key for mark in node.decorator_list for key in _keys(mark)]
        yield from ((prefix + node.name, key) for key in [*inherited, *own])


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _keys(node: ast.AST) -> Iterator[str]:
    """The ids of every `pytest.mark.req(…)` inside, those of pytest.param included."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.req":
            yield from (str(ast.literal_eval(argument)) for argument in call.args)
