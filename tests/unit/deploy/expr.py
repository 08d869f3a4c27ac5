"""The little of the expression language expr that our samples use: ``== != && ||``, ``nil``, strings, whole numbers.

It reads them as https://expr-lang.org/docs/language-definition says: a key that a map lacks is nil, and so is what is
below it only where a ``?.`` says so; here that is an error, as it is there.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

_WORDS = {"&&": " and ", "||": " or ", "nil": "None"}


def evaluate(expression: str, environment: Mapping[str, Any]) -> Any:
    parts = re.split(r'("[^"]*")', expression)  # strings stay as they are
    words = [p if p.startswith('"') else re.sub(r"&&|\|\||\bnil\b", lambda m: _WORDS[m[0]], p) for p in parts]
    return _value(ast.parse("".join(words).strip(), mode="eval").body, environment)


def _value(node: ast.expr, environment: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return environment[name]
        case ast.Attribute(value=inner, attr=name):
            found = _value(inner, environment)
            if not isinstance(found, Mapping):
                raise TypeError(f"cannot fetch {name} from {found!r}")
            return found.get(name)
        case ast.BoolOp(op=operator, values=values):
            stops_at = isinstance(operator, ast.Or)
            return next((stops_at for value in values if _boolean(value, environment) is stops_at), not stops_at)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            same = _value(left, environment) == _value(right, environment)
            return same if isinstance(operator, ast.Eq) else not same
        case _:
            raise ValueError(f"not in our samples: {ast.dump(node)}")


def _boolean(node: ast.expr, environment: Mapping[str, Any]) -> bool:
    value = _value(node, environment)
    if not isinstance(value, bool):
        raise TypeError(f"{ast.unparse(node)} is {value!r}, no boolean")
    return value
