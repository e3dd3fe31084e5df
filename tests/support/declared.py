"""What plugin authors may use, as the code declares it: fields, properties and parameters."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_MODULES = (
    "schemas/span.py",
    "evaluators/contract.py",
    "evaluators/testing.py",
    "evaluators/scripted_judge.py",
)


def declarations(name: str) -> list[str]:
    """Each as `name: type = default`: of a dataclass, of a class's constructor, of a function."""
    node = _nodes()[name]
    if isinstance(node, ast.FunctionDef):
        return list(_parameters(node))
    functions = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    for function in functions:
        if function.name == "__init__":
            return list(_parameters(function))
    fields = [_field(part) for part in node.body if isinstance(part, ast.AnnAssign)]
    return [*fields, *(_property(part) for part in functions if part.decorator_list)]


@cache
def _nodes() -> dict[str, ast.ClassDef | ast.FunctionDef]:
    modules = [ast.parse((_ROOT / path).read_text("utf-8")) for path in _MODULES]
    parts = [part for module in modules for part in module.body]
    return {part.name: part for part in parts if isinstance(part, ast.ClassDef | ast.FunctionDef)}


def _field(part: ast.AnnAssign) -> str:
    name = ast.unparse(part.target)
    return _declared(name, part.annotation, part.value)


def _property(part: ast.FunctionDef) -> str:
    return _declared(part.name, part.returns, None)


def _parameters(function: ast.FunctionDef) -> Iterator[str]:
    arguments = function.args
    places = [argument for argument in arguments.args if argument.arg != "self"]
    missing = [None] * (len(places) - len(arguments.defaults))
    for argument, default in zip(places, [*missing, *arguments.defaults], strict=True):
        yield _declared(argument.arg, argument.annotation, default)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _declared(argument.arg, argument.annotation, default)
    if arguments.kwarg is not None:
        yield _declared(f"**{arguments.kwarg.arg}", arguments.kwarg.annotation, None)


def _declared(name: str, kind: ast.expr | None, default: ast.expr | None) -> str:
    text = f"{name}: {'' if kind is None else ast.unparse(kind)}"
    if default is None:
        return text
    return f"{text} = {_default(ast.unparse(default))}"


def _default(text: str) -> str:
    return "{}" if text == "field(default_factory=dict)" else text.replace("'", '"')
