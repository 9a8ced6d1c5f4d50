"""JMESPath expressions: compiled once, with all mistakes found then, so that none crashes later.

Source: https://jmespath.org/specification.html
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathTypeError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult

_SIGNATURES: Final[dict[str, list[dict[str, Any]]]] = {
    name: list(function["signature"]) for name, function in Functions.FUNCTION_TABLE.items()
}


@dataclass(frozen=True, slots=True)
class Found:
    """The value of an expression, as JSON."""

    value: Any

    @property
    def is_true(self) -> bool:
        """Whether it is true in JMESPath: everything but `false`, `null` and empty values. 0 is true."""
        return not (self.value is None or self.value is False or self.value in ("", [], {}))


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The expression cannot be applied to this document."""

    reason: str
    """One line, without any value of the document."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A valid JMESPath expression."""

    text: str
    parsed: ParsedResult

    def search(self, document: Any) -> Found | NotApplicable:
        """Apply it to *document*. The same document always gives the same result."""
        try:
            return Found(self.parsed.search(document))
        except JMESPathTypeError as error:
            accepted = " or ".join(_word(kind) for kind in error.expected_types)
            given = _word(error.actual_type)
            return NotApplicable(f"{error.function_name}() takes {accepted}, but got {given}")
        except Exception as error:  # noqa: BLE001  the library lets Python's own errors through
            return NotApplicable(f"it fails with {type(error).__name__}")


def compile_expression(text: str) -> Expression:
    """Read a JMESPath expression.

    Raises:
        ValueError: it is invalid, or calls a function in a way that can never work. The message says what was
            expected, and shows the position.
    """
    if not text.strip():
        raise ValueError("a JMESPath expression that is not empty")
    try:
        with warnings.catch_warnings():
            # `word` for "word" is deprecated, but everybody writes it.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            expression = Expression(text, _parse(text))
            _check_calls(expression)
    except RecursionError:
        raise ValueError("a JMESPath expression that is nested less deeply") from None
    return expression


def _parse(text: str) -> ParsedResult:
    try:
        return jmespath.compile(text)
    except LexerError as error:
        raise _refusal(text, error.message, error.lexer_position) from None
    except IncompleteExpressionError:
        raise _refusal(text, "it ends too early", len(text)) from None
    except ParseError as error:
        fault = f"{error.token_value!r} is not expected" if error.token_value else "it ends too early"
        raise _refusal(text, fault, error.lex_position) from None
    except (ValueError, IndexError, KeyError):
        raise _refusal(text, "it cannot be read", len(text)) from None


def _refusal(text: str, fault: str, place: int) -> ValueError:
    """Say what is wrong, and draw an arrow below the *place* in its line."""
    before = text[:place].rpartition("\n")[2]
    line = (before + text[place:]).partition("\n")[0]
    mark = " " * len(before) + "^"
    return ValueError(f"a JMESPath expression; at character {place + 1}: {fault}\n  {line}\n  {mark}")


def _check_calls(expression: Expression) -> None:
    """Refuse calls that can never work: the library would notice only when it runs them."""
    # Return the positions of function calls, and of each `&`.
    tokens = list(Lexer().tokenize(expression.text))
    names = (
        token["start"]
        for token, following in pairwise(tokens)
        if token["type"] == "unquoted_identifier" and following["type"] == "lparen"
    )
    calls, references = names, (token["start"] for token in tokens if token["type"] == "expref")
    for node, parent in _nodes(expression.parsed.parsed, None):
        if node["type"] == "function_expression":
            place, fault = next(calls), _call_fault(node["value"], node["children"])
        elif node["type"] == "expref":
            place, fault = next(references), _reference_fault(parent)
        else:
            continue
        if fault:
            raise _refusal(expression.text, fault, place)


def _call_fault(name: str, arguments: list[Any]) -> str | None:
    signature = _SIGNATURES.get(name)
    if signature is None:
        return f"there is no function {name}()"
    variadic = signature[-1].get("variadic", False)
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not variadic):
        takes = f"{'at least ' if variadic else ''}{len(signature)} argument{'s' * (len(signature) > 1)}"
        return f"{name}() takes {takes}, not {len(arguments)}"
    for number, (argument, wanted) in enumerate(zip(arguments, signature, strict=False), start=1):
        if (argument["type"] == "expref") != ("expref" in wanted["types"]):
            takes = "&expression" if "expref" in wanted["types"] else "no &expression"
            return f"{name}() takes {takes} as argument {number}"
    return None


def _reference_fault(parent: Any) -> str | None:
    """Say why an `&expression` is not allowed there: its own value is not JSON."""
    if parent is not None and parent["type"] == "function_expression":
        return None
    return "& may only stand before a function argument"


def _nodes(node: Any, parent: Any) -> Iterator[tuple[Any, Any]]:
    """Yield *node* and all its descendants, each with its parent, in the order of the text."""
    yield node, parent
    children = [] if node["type"] == "slice" else node["children"]
    if node["type"] == "filter_projection":
        left, right, condition = children
        children = [left, condition, right]
    for child in children:
        yield from _nodes(child, node)


def _word(kind: str) -> str:
    return {"NoneType": "null", "str": "string", "dict": "object", "list": "array"}.get(kind, kind)
