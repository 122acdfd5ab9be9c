"""Templates of announcements: what they can do, and that they cannot run away."""

from __future__ import annotations

import time

import pytest

from devices.templates import LONGEST_SOURCE, TemplateError, compile


@pytest.mark.parametrize(
    ("source", "payload", "expected"),
    [
        ("{{ value }}", "21", "21"),
        ("{{ value_json.a.b }}", '{"a": {"b": 3}}', "3"),
        ("{{ value_json['a'] | round(1) }}", '{"a": 3.14159}', "3.1"),
        ("{{ value | int + 1 }}", "41", "42"),
        ("{{ value | float * 1.8 + 32 }}", "20", "68.0"),
        ("{{ 'ON' if value_json.state == 1 else 'OFF' }}", '{"state": 1}', "ON"),
        ("{% if value_json.x is defined %}yes{% else %}no{% endif %}", "{}", "no"),
        ("{{ value_json.x | default('none') }}", "{}", "none"),
        ("{{ iif(value == 'a', 'b', 'c') }}", "a", "b"),
        ("{% for n in value_json.list %}{{ n }};{% endfor %}", '{"list": [1, 2]}', "1;2;"),
        ("{{ (value | from_json).k }}", '{"k": "v"}', "v"),
    ],
)
def test_renders(source: str, payload: str, expected: str) -> None:
    assert compile(source).read(payload) == expected


def test_command_templates_have_their_variables() -> None:
    assert compile('{"pos": {{ position }} }').render({"position": 40}) == '{"pos": 40 }'


@pytest.mark.parametrize(
    "source",
    [
        "{{ x", "{% for %}", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{% include 'x' %}", "{{ value | nofilter }}",
        "x" * (LONGEST_SOURCE + 1),
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused(source: str) -> None:
    with pytest.raises(TemplateError):
        compile(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(4000) %}{% for j in range(4000) %}{{ i * j }}{% endfor %}{% endfor %}",
        "{{ 'a' * 10**9 }}", "{{ 9**9**9**9 }}", "{{ '%1000000000d' % 3 }}", "{{ '{:>1000000000}'.format(3) }}",
        "{{ 'x'.ljust(10**9) }}", "{{ ''.__class__.__mro__ }}", "{{ value.replace('', value) * 9 }}", "{{ [1] * 10**9 }}",
        "{{ 1 // 0 }}", "{{ value_json.a.b.c }}", "{{ value.encode().decode('utf-99') }}",
    ],
)  # fmt: skip
def test_what_would_run_away_is_an_error_soon(source: str) -> None:
    template = compile(source)
    began = time.monotonic()
    with pytest.raises(TemplateError):
        template.read("a" * 1000)
    assert time.monotonic() - began < 5  # a template that ran would take hours
