"""Jinja2 prompts: what they may do, what they may not touch, and that they end."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import PromptTemplate
from pyeino.errors import TemplateError

pytest.importorskip("jinja2", reason="pip install 'pyeino[jinja2]'")


@dataclasses.dataclass
class User:
    name: str
    calls: int = 0

    def touch(self) -> str:
        self.calls += 1
        return "touched"

    @property
    def lazy(self) -> str:
        self.calls += 1
        return "read"


def render(text: str, **variables: Any) -> str:
    template = PromptTemplate.from_messages(("user", text), format="jinja2")
    return template.format(variables)[0].content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ user.name }} {{ user['name'] }}", "ann ann"),
        ("{% for d in docs %}{{ loop.index }}.{{ d.title|upper }} {% endfor %}", "1.A 2.B "),
        ("{% if nothing is defined %}a{% else %}b{% endif %}", "b"),
        ("{{ nothing|default('z') }}", "z"),
        ("{{ docs|map(attribute='title')|join(', ') }}", "a, b"),
        ("{{ {'a': [1, '<é>']}|tojson }}", '{"a": [1, "<é>"]}'),
        ("{{ 'a\nb'|indent(2) }} {{ 'abab'|replace('a', 'c') }}", "a\n  b cbcb"),
        ("{% macro hi(n) %}hi {{ n }}{% endmacro %}{{ hi('x') }}", "hi x"),
        ("{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}"
         "{% endfor %}{{ ns.n }}", "3"),
        ("{% set x %}{{ q }}{{ q }}{% endset %}{{ x }}", "<q><q>"),
        ("{{ d.items()|list }} {{ d.get('k', 1) }} {{ d.a }}", "[('a', 1)] 1 1"),
        ("{{ ' A b '.strip().lower().split(' ') }} {{ q[1:] }} {{ q ~ 1 }}", "['a', 'b'] q> <q>1"),
        ("{% block b %}x{% endblock %}{{ self.b() }}", "xx"),
        ("{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }},{% endfor %}", "3,7,"),
        ("{% filter upper %}a{{ q }}{% endfilter %}", "A<Q>"),
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
    ],
)  # fmt: skip
def test_what_a_prompt_needs_works(text: str, expected: str) -> None:
    variables = {
        "user": User("ann"),
        "docs": [{"title": "a"}, {"title": "b"}],
        "q": "<q>",
        "d": {"a": 1},
    }
    assert render(text, **variables) == expected


def test_variables_are_the_names_that_are_not_set_inside() -> None:
    text = "{% set a = 1 %}{{ a }}{{ b.c }}{% for d in e %}{{ d }}{% endfor %}{{ range(1) }}"
    template = PromptTemplate.from_messages(("user", text), format="jinja2")
    assert template.variables == ("b", "e")


@pytest.mark.parametrize(
    "text", ["{{ nothing }}", "{{ user.nothing }}", "{{ d.nothing }}", "{{ d['nothing'] }}"]
)
def test_missing_values_are_errors_that_name_them(text: str) -> None:
    with pytest.raises(TemplateError, match=r"'nothing'.*part 0 \(user\).*'d', 'user'"):
        render(text, user=User("a"), d={})


@pytest.mark.parametrize("word", ["include", "extends", "import", "from"])
def test_other_templates_cannot_be_loaded(word: str) -> None:
    tail = {"import": " as y", "from": " import y"}.get(word, "")
    with pytest.raises(TemplateError, match=rf"'{word}' is disabled.*line 2"):
        render("\n{% if true %}{% " + word + " 'x'" + tail + " %}{% endif %}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ user.__init__.__globals__ }}",
        "{{ user['__class__'] }}",
        "{{ user|attr('__class__') }}",
        "{{ user|map(attribute='__class__')|list }}",
        "{{ [user]|map(attribute='__class__')|list }}",
        "{{ 'x'.format }}",
        "{{ '{0.__class__}'.format(user) }}",
        "{{ '%s' % user }}",
        "{{ user.touch() }}",
        "{{ user.lazy }}",
        "{{ call() }}",
        "{{ [1].append(2) }}",
        "{{ d.update({'b': 1}) }}",
        "{{ d.clear() }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ self._TemplateReference__context }}",
        "{{ range.__self__ }}",
        "{% set d.b = 1 %}",
    ],
)
def test_a_template_reads_data_and_touches_nothing_else(text: str) -> None:
    user, data, called = User("a"), {"a": 1}, []
    with pytest.raises(TemplateError):
        render(text, user=user, d=data, call=lambda: called.append(1))
    assert (user.calls, data, called) == (0, {"a": 1}, [])


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * [1] }}",
        "{{ 2 ** (10 ** 6) }}",
        "{% set n = namespace(v=3) %}{% for i in range(60) %}{% set n.v = n.v * n.v %}{% endfor %}",
        "{{ 'a'|center(10**9) }}",
        "{{ 'a'|indent(10**9) }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ range(10**9)|list }}",
        "{% set n = namespace(v='a') %}{% for i in range(60) %}"
        "{% set n.v = n.v ~ n.v %}{% endfor %}",
        "{% set n = namespace(v='a') %}{% for i in range(60) %}"
        "{% set n.v = n.v + n.v %}{% endfor %}",
        "{% set n = namespace(v=[1]) %}{% for i in range(60) %}"
        "{% set n.v = [n.v, n.v] %}{% endfor %}",
        "{% set n = namespace(v=[1]) %}{% for i in range(60) %}"
        "{% set n.v = {'a': n.v, 'b': n.v} %}{% endfor %}",
        "{% set n = namespace(v='a') %}{% for i in range(60) %}"
        "{% set n.v = n.v|replace('a', 'aa') %}{% endfor %}",
        "{% set s = 'x' * 900000 %}{{ range(100000)|join(s) }}",
        "{% set s = 'x' * 900000 %}{% for i in range(9) %}{{ s }}{% endfor %}",
        "{% set s %}{% for i in range(100000) %}0123456789abcdef{% endfor %}{% endset %}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
        "{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for i in range(3) recursive %}{{ loop(range(3)) }}{% endfor %}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "x" * 200_001,
    ],
)
def test_a_template_ends_and_stays_small(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyeino.components._template_jinja_limits.MAX_SECONDS", 0.2)
    with pytest.raises(TemplateError):
        render(text)


def test_a_bound_that_was_passed_does_not_spoil_the_next_rendering() -> None:
    template = PromptTemplate.from_messages(
        ("user", "{% for i in range(n) %}0123456789a{% endfor %}"), format="jinja2"
    )
    with pytest.raises(TemplateError, match=r"too long.*part 0 \(user\).*1,000,000"):
        template.format({"n": 100_000})
    assert template.format({"n": 1})[0].content == "0123456789a"


def test_syntax_errors_name_part_and_line() -> None:
    with pytest.raises(TemplateError, match=r"cannot be parsed.*part 0 \(user\) line 2"):
        render("a\n{{ b")


def test_an_error_of_a_users_value_is_kept_as_the_cause() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("odd")

    with pytest.raises(TemplateError, match="odd") as caught:
        render("{{ x }}", x=Odd())
    assert isinstance(caught.value.__cause__, RuntimeError)


PIECES = """
{{ }} {% %} x y.z for in if endif endfor set = 1 ( ) [ ] . | upper ~ + * ** 'a' , a #} {#
"""
pieces = st.sampled_from(PIECES.split())


@given(st.lists(pieces, max_size=14).map(" ".join))
def test_fuzz_templates_give_clear_errors_only(text: str) -> None:
    try:
        render(text, x="v", y={"z": [1]})
    except TemplateError as error:
        assert "part 0" in str(error)
