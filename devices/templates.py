"""Jinja2 templates as announcements carry them, in a sandbox and bounded in time and size.

Whoever may publish to the broker may write a template, so none is trusted: no value that a template builds may grow
large, loops count their steps, and a clock stops the rest. What the bounds cost in language: no macros, blocks,
imports or regular expressions.
"""

from __future__ import annotations

import functools
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import BuiltinMethodType
from typing import Any, Final

from jinja2 import TemplateError as JinjaError
from jinja2 import Undefined, meta, nodes
from jinja2 import filters as jinja_filters
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from devices.device import DeviceError

LONGEST_SOURCE = 16_384  # characters; the longest that Zigbee2MQTT and ESPHome announce have some 1,500
LONGEST_VALUE = 65_536  # characters and elements, of any one value
LONGEST_NUMBER = 1_024  # bits
MOST_STEPS = 20_000  # of loops, operators, calls and filters, a run
LONGEST_RUN = 0.25  # seconds; an ordinary template takes 0.0001
OVERRUNS = 3  # times that a template may spend more than it may before it is never run again


class TemplateError(DeviceError):
    """This template cannot be used, or not on this value; the text says why."""


class _Spent(TemplateError):
    """It took more time or room than a template may."""


class Template:
    """One compiled template. Make it with `compile`."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._overruns = 0
        self._compiled = _ENVIRONMENT.from_string(_parse(source))

    def read(self, payload: str) -> str:
        """What it makes of a message, given as `value` and, where it is JSON, `value_json`. Raises TemplateError."""
        variables: dict[str, object] = {"value": payload}
        with suppress(ValueError, RecursionError):
            variables["value_json"] = _from_json(payload)
        return self.render(variables)

    def render(self, variables: Mapping[str, object]) -> str:
        """The text, without the white space around it. Raises TemplateError."""
        if self._overruns >= OVERRUNS:
            raise TemplateError("the template took too long too often")
        try:
            with _metered():
                _plain(variables)
                return self._run(dict(variables))
        except _Spent:
            self._overruns += 1
            raise
        except TemplateError:
            raise
        except Exception as error:  # a template can raise whatever its operators and filters can
            raise TemplateError(f"the template fails: {_first_line(error)}") from error

    def _run(self, variables: dict[str, object]) -> str:
        pieces: list[str] = []
        length = 0
        for piece in self._compiled.root_render_func(self._compiled.new_context(variables)):
            length += len(piece)
            if length > LONGEST_VALUE:
                raise _Spent("the template writes too much")
            _tick()
            pieces.append(piece)
        return "".join(pieces).strip()


@functools.lru_cache(maxsize=4096)
def compile(source: str) -> Template:
    """The template of this source. Raises TemplateError."""
    if len(source) > LONGEST_SOURCE:
        raise TemplateError(f"a template of {len(source)} characters is too long")
    try:
        return Template(source)
    except TemplateError:
        raise
    except (JinjaError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise TemplateError(f"not a template: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


# -- what is spent


class _Meter:
    __slots__ = ("deadline", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.deadline = time.monotonic() + LONGEST_RUN


_METER: ContextVar[_Meter | None] = ContextVar("meter", default=None)


@contextmanager
def _metered() -> Iterator[None]:
    token = _METER.set(_Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def _tick() -> None:
    meter = _METER.get()
    if meter is None:
        return
    meter.steps += 1
    if meter.steps > MOST_STEPS:
        raise _Spent("the template takes too many steps")
    if time.monotonic() > meter.deadline:
        raise _Spent("the template takes too long")


_LEAVES = (float, bool, type(None), Undefined, datetime, timedelta)


def _plain(value: Any) -> Any:
    """The value, when it is plain data and not too much of it. Nothing larger can so come to exist."""
    size = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        size += 1
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, int):
            if item.bit_length() > LONGEST_NUMBER:
                raise _Spent("the template makes too large a number")
        elif isinstance(item, Mapping):
            size += len(item)
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            size += len(item)
            waiting.extend(item)
        elif isinstance(item, range):
            size += len(item)
        elif not isinstance(item, _LEAVES):
            raise TemplateError(f"the template uses {type(item).__name__} as a value")
        if size > LONGEST_VALUE:
            raise _Spent("the template makes too large a value")
    return value


# -- the language


class _Generator(CodeGenerator):
    """Jinja2's code with a check where it would build a value unseen."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenate((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.plain(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.plain(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.plain(")
        super().visit_Tuple(node, frame)
        self.write(")")


_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        "capitalize casefold center count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric "
        "isspace isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust "
        "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill".split()
    ),
    dict: frozenset("get items keys values".split()),
    list: frozenset("count index".split()),
    tuple: frozenset("count index".split()),
    int: frozenset({"bit_length"}),
    float: frozenset({"is_integer"}),
    datetime: frozenset("isoformat strftime timestamp weekday isoweekday date time".split()),
    timedelta: frozenset({"total_seconds"}),
}


class _Environment(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def plain(self, value: object) -> object:
        _tick()
        return _plain(value)

    def concatenate(self, parts: tuple[object, ...]) -> str:
        _tick()
        _plain(parts)
        return str(_plain("".join(str(part) for part in parts)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _tick()
        _plain((left, right))
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            return _plain(_format(left, *(right if isinstance(right, tuple) else (right,))))
        return _plain(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _tick()
        if isinstance(obj, BuiltinMethodType) and _may_call(obj):
            _plain((args, kwargs))
            _check_method(obj, args)
            result = obj(*args, **kwargs)
            return _plain(list(result) if obj.__name__ in ("items", "keys", "values") else result)
        if any(obj is known for known in _FUNCTIONS.values()):
            _plain((args, kwargs))
            result = super().call(context, obj, *args, **kwargs)
            return result if isinstance(result, Namespace) else _plain(result)
        if isinstance(getattr(obj, "__self__", None), LoopContext) and obj.__name__ == "cycle":
            return super().call(context, obj, *args, **kwargs)
        name = str(getattr(obj, "__name__", type(obj).__name__))[:40]
        raise TemplateError(f"the template calls {name}(), which is not supported")


def _may_call(method: Any) -> bool:
    return any(isinstance(method.__self__, kind) and method.__name__ in names for kind, names in _METHODS.items())


def _check_method(method: Any, args: tuple[Any, ...]) -> None:
    """Raises _Spent for the methods of text that could make a long one out of short ones."""
    text, name, size = method.__self__, method.__name__, 0
    if name in ("center", "ljust", "rjust", "zfill"):
        size = args[0] if args and isinstance(args[0], int) else 0
    elif name == "replace" and len(args) >= 2:
        size = len(text) + text.count(str(args[0])) * len(str(args[1]))
    elif name == "join" and args and isinstance(args[0], list | tuple):
        size = len(text) * len(args[0])
    if size > LONGEST_VALUE:
        raise _Spent("the template makes too large a value")


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(other, int) and len(one) * other > LONGEST_VALUE:
            raise _Spent("the template makes too large a value")


def _check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > LONGEST_NUMBER:
        raise _Spent("the template makes too large a number")


_REFUSED: Final = (
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.AssignBlock,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
    nodes.Block,
)


def _parse(source: str) -> nodes.Template:
    tree = _ENVIRONMENT.parse(source)
    for refused in tree.find_all(_REFUSED):
        raise TemplateError(f"the template has a {type(refused).__name__.lower()}, which is not supported")
    unknown = meta.find_undeclared_variables(tree) - _FUNCTIONS.keys()
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in unknown:
            raise TemplateError(f"the template calls {call.node.name}(), which is not supported")
    for loop in list(tree.find_all(nodes.For)):
        if loop.recursive:
            raise TemplateError("the template has a recursive loop, which is not supported")
        loop.iter = nodes.Filter(loop.iter, "each_counted", [], [], None, None, lineno=loop.lineno)
    tree.set_environment(_ENVIRONMENT)
    return tree


# -- filters and functions, with the meaning that Home Assistant gives them

_MISSING: Final = object()


def _each_counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _tick()
        yield value


def _from_json(text: str, default: Any = _MISSING) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: None)
    except (ValueError, TypeError, RecursionError):
        if default is _MISSING:
            raise
        return default


def _to_json(value: Any, *_: Any, **__: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _float(value: Any, default: Any = _MISSING) -> Any:
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        if default is _MISSING:
            raise TemplateError(f"{str(value)[:40]!r} is not a number") from None
        return default


def _int(value: Any, default: Any = _MISSING, base: int = 10) -> Any:
    try:
        return int(value, base) if isinstance(value, str) and base != 10 else int(float(value))
    except (ValueError, TypeError, OverflowError):
        if default is _MISSING:
            raise TemplateError(f"{str(value)[:40]!r} is not a number") from None
        return default


def _round(value: Any, precision: int = 0, method: str = "common", default: Any = _MISSING) -> Any:
    number = _float(value, default)
    if not isinstance(number, float) or not math.isfinite(number):
        return number
    scale = 10.0 ** max(-15, min(15, int(precision)))
    if method == "half":
        rounded = round(number * 2) / 2
    elif method in ("ceil", "floor"):
        rounded = (math.ceil if method == "ceil" else math.floor)(number * scale) / scale
    else:
        rounded = round(number, max(-15, min(15, int(precision))))
    return int(rounded) if precision == 0 and method != "half" else rounded


def _iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = _MISSING) -> Any:
    if value is None and if_none is not _MISSING:
        return if_none
    return if_true if value else if_false


def _is_defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        raise TemplateError("the message has not what the template reads")
    return value


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError, OverflowError):
        return False


def _bool(value: Any, default: Any = _MISSING) -> Any:
    words = {"1": True, "true": True, "yes": True, "on": True, "enable": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "disable": False}
    if isinstance(value, bool | int | float):
        return bool(value)
    known = words.get(str(value).lower())
    if known is None and default is _MISSING:
        raise TemplateError(f"{str(value)[:40]!r} is neither true nor false")
    return default if known is None else known


def _replace(text: Any, old: Any, new: Any) -> str:
    before = str(text)
    _check_method(before.replace, (str(old), str(new)))
    return before.replace(str(old), str(new))


def _join(values: Iterable[Any], separator: Any = "", attribute: Any = None) -> str:
    parts = [str(v if attribute is None else v.get(attribute)) for v in values]
    _check_method(str(separator).join, (parts,))
    return str(separator).join(parts)


_FORMAT = re.compile(r"%[-+ 0#]{0,3}\d{0,2}(?:\.\d{0,2})?[sdifgeExXoc%]")


def _format(form: Any, *values: Any) -> str:
    """printf's way, with widths of two digits at most."""
    if "%" in _FORMAT.sub("", str(form)):
        raise TemplateError("the template formats text in a way that is not supported")
    return str(form) % values


def _multiply(value: Any, by: Any, default: Any = _MISSING) -> Any:
    number = _float(value, default)
    return number * float(by) if isinstance(number, float) else number


def _add(value: Any, by: Any, default: Any = _MISSING) -> Any:
    number = _float(value, default)
    return number + float(by) if isinstance(number, float) else number


def _of_number(function: Callable[[float], float]) -> Callable[..., Any]:
    def filtered(value: Any, default: Any = _MISSING) -> Any:
        try:
            return function(float(value))
        except (ValueError, TypeError, OverflowError):
            if default is _MISSING:
                raise TemplateError(f"{str(value)[:40]!r} is no number for that") from None
            return default

    return filtered


def _log(value: Any, base: Any = math.e, default: Any = _MISSING) -> Any:
    return _of_number(lambda n: math.log(n, float(base)))(value, default)


def _datetime(value: Any, default: Any = _MISSING) -> Any:
    try:
        return datetime.fromtimestamp(float(value), UTC) if _is_number(value) else datetime.fromisoformat(str(value))
    except (ValueError, TypeError, OverflowError, OSError):
        if default is _MISSING:
            raise TemplateError(f"{str(value)[:40]!r} is no time") from None
        return default


def _timestamp(value: Any, default: Any = _MISSING) -> Any:
    when = value if isinstance(value, datetime) else _datetime(value, default)
    return when.timestamp() if isinstance(when, datetime) else when


def _timestamp_custom(value: Any, form: str = "%Y-%m-%d %H:%M:%S", local: bool = True, default: Any = _MISSING) -> Any:
    when = _datetime(value, default)
    if not isinstance(when, datetime):
        return when
    return (when.astimezone() if local else when).strftime(str(form))


def _timestamp_local(value: Any, default: Any = _MISSING) -> Any:
    when = _datetime(value, default)
    return when.astimezone().isoformat() if isinstance(when, datetime) else when


def _timestamp_utc(value: Any, default: Any = _MISSING) -> Any:
    when = _datetime(value, default)
    return when.astimezone(UTC).isoformat() if isinstance(when, datetime) else when


def _range(*bounds: int) -> range:
    numbers = range(*(int(b) for b in bounds))
    if len(numbers) > MOST_STEPS:
        raise _Spent("the template counts too far")
    return numbers


def _now() -> datetime:
    return datetime.now().astimezone()


def _utcnow() -> datetime:
    return datetime.now(UTC)


def _least(*values: Any) -> Any:
    return min(*values)


def _most(*values: Any) -> Any:
    return max(*values)


def _dict(*values: Any, **named: Any) -> dict[Any, Any]:
    return dict(*values, **named)


_FUNCTIONS: Mapping[str, Any] = {
    "range": _range,
    "namespace": Namespace,
    "dict": _dict,
    "float": _float,
    "int": _int,
    "bool": _bool,
    "iif": _iif,
    "is_number": _is_number,
    "min": _least,
    "max": _most,
    "now": _now,
    "utcnow": _utcnow,
    "as_timestamp": _timestamp,
    "as_datetime": _datetime,
    "timedelta": timedelta,
}

_OWN_FILTERS: Mapping[str, Callable[..., Any]] = {
    "float": _float,
    "int": _int,
    "bool": _bool,
    "round": _round,
    "iif": _iif,
    "is_defined": _is_defined,
    "is_number": _is_number,
    "from_json": _from_json,
    "to_json": _to_json,
    "tojson": _to_json,
    "format": _format,
    "replace": _replace,
    "join": _join,
    "multiply": _multiply,
    "add": _add,
    "log": _log,
    "sqrt": _of_number(math.sqrt),
    "sin": _of_number(math.sin),
    "cos": _of_number(math.cos),
    "tan": _of_number(math.tan),
    "as_timestamp": _timestamp,
    "as_datetime": _datetime,
    "timestamp_custom": _timestamp_custom,
    "timestamp_local": _timestamp_local,
    "timestamp_utc": _timestamp_utc,
    "bitwise_and": lambda value, other: int(value) & int(other),
    "bitwise_or": lambda value, other: int(value) | int(other),
    "bitwise_xor": lambda value, other: int(value) ^ int(other),
    "ord": lambda value: ord(value),
    "string": str,
    "items": lambda value: list(value.items()),
    "contains": lambda values, value: value in values,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else list(value)[::-1],
}
_JINJA_FILTERS = (
    "abs capitalize count d default dictsort first last length list lower map max min reject rejectattr select "
    "selectattr sort sum title trim unique upper"
).split()


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with its arguments and result checked, and what it would yield later yielded now."""

    @functools.wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        _tick()
        first = 1 if hasattr(function, "jinja_pass_arg") else 0
        _plain((args[first:], kwargs))
        result = function(*args, **kwargs)
        return _plain(list(_each_counted(result)) if isinstance(result, Iterator) else result)

    return filtered


def _environment() -> _Environment:
    environment = _Environment(autoescape=False, optimized=False, finalize=_plain, cache_size=0)
    environment.globals.clear()
    environment.globals.update(_FUNCTIONS)
    environment.filters.clear()
    environment.filters.update({name: _bounded(jinja_filters.FILTERS[name]) for name in _JINJA_FILTERS})
    environment.filters.update({name: _bounded(function) for name, function in _OWN_FILTERS.items()})
    environment.filters["each_counted"] = _each_counted
    environment.tests.update(is_number=_is_number, datetime=lambda value: isinstance(value, datetime))
    return environment


_ENVIRONMENT = _environment()
