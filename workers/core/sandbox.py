"""The dialect that messages are written in: text, variables, filters and `if`.

It is jinja2's ImmutableSandboxedEnvironment, of which only what is listed here is let through before
anything is compiled: no calls, loops, assignments, arithmetic, attributes, macros or other files. What is
left takes time and room in proportion to its source, and both are bounded besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from workers.core.filters import FILTERS, HTML_FILTERS, TooLong, shown

LONGEST_SOURCE = 50_000
LONGEST_OUTPUT = 100_000
DEEPEST = 24
MOST_NODES = 4_000
TESTS = frozenset({"none", "defined"})
_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.Neg, nodes.Filter, nodes.Test),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand),
)
# What is the same text for everybody, but for the values in it.
_PLAIN = (nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter)
_WORDS: dict[type[nodes.Node], str] = {
    nodes.Call: "calls are not allowed",
    nodes.Getattr: "variables have no parts: a dot is not allowed",
    nodes.Getitem: "variables have no parts: brackets are not allowed",
    nodes.For: "loops are not allowed",
    nodes.Assign: "set is not allowed",
    nodes.AssignBlock: "set is not allowed",
    nodes.Include: "other files are not allowed",
    nodes.Import: "other files are not allowed",
    nodes.FromImport: "other files are not allowed",
    nodes.Extends: "other files are not allowed",
}


class WordingRefused(Exception):
    """This wording cannot be used: which part of it, which line, and why.

    `reason` holds words of the dialect and of the template alone. `detail` may come out of what was
    rendered: it is told to whoever tries a template with the sample, and never kept of a message.
    """

    def __init__(self, reason: str, line: int | None = None, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.line, self.detail = reason, line, detail
        self.part: str | None = None

    def __str__(self) -> str:
        return self.problem

    @property
    def cause(self) -> str:
        """`html, line 3: this tag is not allowed`, with nothing of the message in it."""
        place = ", ".join(
            [*([self.part] if self.part else []), *([f"line {self.line}"] if self.line else [])]
        )
        return f"{place}: {self.reason}"[:500] if place else self.reason[:500]

    @property
    def problem(self) -> str:
        """The cause and its detail: `html, line 3: this tag is not allowed: script`."""
        return f"{self.cause}: {self.detail}"[:500] if self.detail else self.cause


class _Environment(ImmutableSandboxedEnvironment):
    """Every operator is refused, should one get past the list of what is allowed."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        raise WordingRefused("arithmetic is not allowed")


def _environment(is_html: bool) -> _Environment:
    environment = _Environment(
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,
        finalize=pass_context(lambda context, value: shown(value, context["locale"])),
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, **(HTML_FILTERS if is_html else {})}
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


_TEXT, _HTML = _environment(is_html=False), _environment(is_html=True)


def render(source: str, values: Mapping[str, Any], names: Set[str], *, is_html: bool = False) -> str:
    """The rendered text of a part, `names` being what it may name; raises WordingRefused.

    `values` has all of them, and the `locale`.
    """
    template = compiled(source, frozenset(names), is_html)
    with _refusals():
        pieces, length = [], 0
        for piece in template.generate(dict(values)):
            length += len(piece)
            if length > LONGEST_OUTPUT:
                raise WordingRefused(f"what it says is longer than {LONGEST_OUTPUT} characters")
            pieces.append(piece)
        return "".join(pieces)


@lru_cache(maxsize=128)
def compiled(source: str, names: frozenset[str], is_html: bool) -> Template:
    """A checked template; raises WordingRefused."""
    tree = parsed(source, names, is_html)
    with _refusals():
        return (_HTML if is_html else _TEXT).from_string(tree)


def placeholders(source: str, values: Mapping[str, Any], names: Set[str]) -> tuple[str, list[str]]:
    """A text whose every expression is a number in braces, and what each of them says.

    That is how WhatsApp keeps a template that it has approved; raises WordingRefused when it has an `if`.
    """
    tree = parsed(source, frozenset(names), False)
    text, said = [], []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            raise WordingRefused("an approved template of WhatsApp has no if", output.lineno)
        for piece in output.nodes:
            if isinstance(piece, nodes.TemplateData):
                text.append(piece.data)
                continue
            with _refusals():
                alone = _TEXT.from_string(nodes.Template([nodes.Output([piece])]))
                said.append(alone.render(dict(values)))
            text.append(f"{{{{{len(said)}}}}}")
    return "".join(text), said


def check_plain(source: str, names: Set[str], *, is_html: bool) -> None:
    """Raise WordingRefused unless it says the same whatever the values are: no case, nothing by default."""
    for node in parsed(source, frozenset(names), is_html).find_all(nodes.Node):
        if not isinstance(node, _PLAIN) or (isinstance(node, nodes.Filter) and node.name == "default"):
            raise WordingRefused("a message about access has no if and no default", node.lineno)


def parsed(source: str, names: frozenset[str], is_html: bool) -> nodes.Template:
    """The tree of a source in which everything is allowed; raises WordingRefused."""
    if len(source) > LONGEST_SOURCE:
        raise WordingRefused(f"it is longer than {LONGEST_SOURCE} characters")
    environment = _HTML if is_html else _TEXT
    with _refusals():
        tree = environment.parse(source)
    stack: list[tuple[nodes.Node, int]] = [(tree, 0)]
    seen = 0
    while stack:
        node, depth = stack.pop()
        seen += 1
        line = getattr(node, "lineno", None)
        if seen > MOST_NODES or depth > DEEPEST:
            raise WordingRefused("it is too intricate", line)
        _check(node, names, environment)
        stack += [(child, depth + 1) for child in node.iter_child_nodes()]
    return tree


def _check(node: nodes.Node, names: Set[str], environment: _Environment) -> None:
    line = getattr(node, "lineno", None)
    if not isinstance(node, _ALLOWED) or type(node) not in _ALLOWED:
        said = _WORDS.get(type(node), f"this is not allowed: {type(node).__name__.lower()}")
        raise WordingRefused(said, line)
    if isinstance(node, nodes.Name) and node.name not in names:
        raise WordingRefused(_unknown("variable", node.name, names), line)
    if isinstance(node, nodes.Filter) and node.name not in environment.filters:
        raise WordingRefused(_unknown("filter", node.name, environment.filters.keys()), line)
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise WordingRefused(_unknown("test", node.name, TESTS), line)
    if isinstance(node, nodes.Filter | nodes.Test) and (node.kwargs or node.dyn_args or node.dyn_kwargs):
        raise WordingRefused("named arguments are not allowed", line)


def _unknown(what: str, name: str, known: Set[str]) -> str:
    close = get_close_matches(name[:60], known, n=1)
    return f"unknown {what}: {name[:60]}" + (f" (did you mean {close[0]}?)" if close else "")


class _refusals:
    """Whatever goes wrong inside is the wording's fault: a WordingRefused, never with a value in it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, WordingRefused) or not isinstance(error, Exception):
            return
        if isinstance(error, TooLong):
            raise WordingRefused("what it says is too long") from None
        if isinstance(error, TemplateError):
            raise WordingRefused(_said(error), getattr(error, "lineno", None)) from None
        if isinstance(error, RecursionError | MemoryError | SyntaxError):
            raise WordingRefused("it is too intricate") from None
        raise WordingRefused(f"a value cannot be used like this ({type(error).__name__})") from None


def _said(error: TemplateError) -> str:
    """Jinja's own words while parsing; while rendering they could hold values."""
    if isinstance(error, TemplateSyntaxError):
        return " ".join((error.message or "it cannot be read").split())
    return f"a value cannot be used like this ({type(error).__name__})"
