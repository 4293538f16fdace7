"""The one jinja2 environment: sandboxed, strict about missing values, autoescaping in HTML."""

from __future__ import annotations

from functools import cache

from jinja2 import PackageLoader, StrictUndefined, Template, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The environment of every template under `workers/templates`."""
    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("workers", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def template(name: str) -> Template:
    """A template by its path under `workers/templates`."""
    return environment().get_template(name)
