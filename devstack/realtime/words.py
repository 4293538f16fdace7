"""Values as the real server, which is written in Elixir, shows them in its messages."""

import json
from typing import Any


def inspect(value: Any) -> str:
    """`nil`, `["a", "b"]`, `%{"a" => 1}`; a tuple has braces."""
    if value is None:
        return "nil"
    if isinstance(value, dict):
        return "%{" + ", ".join(f"{inspect(key)} => {inspect(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inspect, value)) + "]"
    if isinstance(value, tuple):
        return "{" + ", ".join(map(inspect, value)) + "}"
    return json.dumps(value, ensure_ascii=False)
