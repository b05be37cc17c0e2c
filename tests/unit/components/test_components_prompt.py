"""Prompts: f-strings and the Go subset, placeholders, parts; rendering changes nothing."""

import copy
import dataclasses
import datetime
import sys
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import MessagesPlaceholder, PromptTemplate
from pyeino.components._template_format import TemplateFormat
from pyeino.errors import DeclarationError, MissingDependencyError, TemplateError
from pyeino.schema import (
    AudioPart,
    FilePart,
    FunctionCall,
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolSearchResultPart,
    VideoPart,
)


@dataclasses.dataclass
class User:
    name: str
    _secret: str = "s"

    def shout(self) -> str:
        return self.name.upper()


class Struct(msgspec.Struct):
    name: str


class Model(pydantic.BaseModel):
    name: str


class Pair(NamedTuple):
    name: str


def render(text: str, format: TemplateFormat = "fstring", **variables: Any) -> str:
    (message,) = PromptTemplate.from_messages(("user", text), format=format).format(variables)
    return message.content


GAPS: dict[TemplateFormat, str] = {
    "fstring": "{question}",
    "jinja2": "{{ question }}",
    "gotemplate": "{{.question}}",
}


@pytest.mark.parametrize("format", GAPS)
def test_row_226_each_format_renders_the_same_question(format: TemplateFormat) -> None:
    history = [Message.user("hi"), Message.assistant("hello {question}")]
    template = PromptTemplate.from_messages(
        Message.system("be kind"),
        MessagesPlaceholder("history"),
        ("user", "Q: " + GAPS[format]),
        format=format,
    )
    assert template.variables == ("history", "question")
    assert template.format({"question": "why?", "history": history}) == [
        Message.system("be kind"),
        *history,
        Message.user("Q: why?"),
    ]


@pytest.mark.parametrize("format", GAPS)
def test_row_227_a_missing_variable_names_key_part_and_keys_given(format: TemplateFormat) -> None:
    template = PromptTemplate.from_messages(
        Message.system("x"), ("user", GAPS[format]), format=format
    )
    with pytest.raises(TemplateError, match=r"'question'.*part 1 \(user\).*'query'"):
        template.format({"query": 1})


@pytest.mark.parametrize("format", GAPS)
def test_row_227_text_and_urls_of_user_parts_are_rendered(format: TemplateFormat) -> None:
    gap = GAPS[format]
    search = ToolSearchResultPart(extra={"k": gap})
    message = Message(
        role=Role.USER,
        content=gap,
        user_input_multi_content=(
            TextPart(text=f"t {gap}"),
            ImagePart(url=f"http://{gap}/i", base64_data=gap, detail="low"),
            AudioPart(url=gap),
            VideoPart(url=gap),
            FilePart(url=gap, name="f"),
            ImagePart(),
            search,
        ),
        assistant_output_multi_content=(TextPart(text=gap), ReasoningPart(text=gap)),
        reasoning_content=gap,
    )
    (rendered,) = PromptTemplate.from_messages(message, format=format).format({"question": "Q"})
    assert rendered.content == "Q"
    assert rendered.user_input_multi_content == (
        TextPart(text="t Q"),
        ImagePart(url="http://Q/i", base64_data="Q", detail="low"),
        AudioPart(url="Q"),
        VideoPart(url="Q"),
        FilePart(url="Q", name="f"),
        ImagePart(),
        search,
    )
    assert rendered.assistant_output_multi_content == message.assistant_output_multi_content
    assert rendered.reasoning_content == gap


def test_row_266_rendering_twice_gives_each_its_own_urls_and_keeps_the_template() -> None:
    message = Message(
        role=Role.USER,
        content="{x}",
        user_input_multi_content=(ImagePart(url="http://{x}", extra={"list": [1]}),),
        tool_calls=(ToolCall(id="1", extra={"k": []}),),
        extra={"k": {"n": 1}},
    )
    kept = copy.deepcopy(message)
    template = PromptTemplate.from_messages(message)
    (first,) = template.format({"x": "a"})
    first.extra["k"]["n"] = 2
    first.user_input_multi_content[0].extra["list"].append(2)
    first.tool_calls[0].extra["k"].append(1)
    (second,) = template.format({"x": "b"})
    assert [one.user_input_multi_content[0] for one in (first, second)] == [
        ImagePart(url="http://a", extra={"list": [1, 2]}),
        ImagePart(url="http://b", extra={"list": [1]}),
    ]
    assert message == kept
    assert second.extra == {"k": {"n": 1}}


def test_placeholders_take_messages_only() -> None:
    needed = PromptTemplate.from_messages(MessagesPlaceholder("history"))
    optional = PromptTemplate.from_messages(MessagesPlaceholder("history", optional=True))
    assert (needed.variables, needed.optional_variables) == (("history",), ())
    assert (optional.variables, optional.optional_variables) == ((), ("history",))
    assert optional.format({}) == []
    assert needed.format({"history": (Message.user("a"),)}) == [Message.user("a")]
    with pytest.raises(TemplateError, match=r"'history'.*found the keys 'other'"):
        needed.format({"other": 1})
    for wrong in ("text", Message.user("a"), [Message.user("a"), "b"], None):
        with pytest.raises(TemplateError, match="only messages"):
            optional.format({"history": wrong})


def test_what_a_prompt_is_made_of_is_checked_at_once() -> None:
    for part in ("text", ("user",), ("user", 1), ("user", "a", "b"), None):
        with pytest.raises(DeclarationError, match="part 0"):
            PromptTemplate.from_messages(part)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="'human'"):
        PromptTemplate.from_messages(("human", "a"))
    with pytest.raises(DeclarationError, match="'mustache'"):
        PromptTemplate.from_messages(("user", "a"), format="mustache")  # type: ignore[arg-type]
    with pytest.raises(TemplateError, match="mapping"):
        PromptTemplate.from_messages().format(["a"])  # type: ignore[arg-type]


def test_fstring_reads_keys_fields_and_indexes() -> None:
    for user in (User("ann"), Struct("ann"), Model(name="ann"), Pair("ann"), {"name": "ann"}):
        assert render("{user.name} {users[0].name}", user=user, users=[user]) == "ann ann"
    assert render("{d[a b]} {d[1]} {l[1]}", d={"a b": 1, 1: 2}, l=(3, 4)) == "1 2 4"


def test_fstring_formats_and_keeps_braces() -> None:
    day = datetime.date(2026, 1, 2)
    text = "{{x}} {n:.2f} {n!r:>5} {s:>4}|{day:%d.%m.%Y} {none} {user!s:.4}"
    assert render(text, n=1.5, s="ab", day=day, none=None, user=Struct("a")) == (
        "{x} 1.50   1.5   ab|02.01.2026 None Stru"
    )


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{x.__class__}",
            "{_x}",
            "{x._secret}",
            "{x[_secret]}",
            "{x[__class__]}",
            "{__builtins__}",
        ),
        *("{x.name.__class__}", "{", "}", "{}", "{0.}", "{x.}", "{x[}", "{x[]}", "{x y}", "{x!z}"),
        *("{x:99999}", "{x:{n}}", "{x:" + "<" * 65 + "}", '{"a": 1}', "{x:.1000f}"),
    ],
)
def test_fstring_refuses_what_is_not_a_path_when_it_is_parsed(text: str) -> None:
    with pytest.raises(TemplateError, match="part 0"):
        PromptTemplate.from_messages(("user", text))


@pytest.mark.parametrize(
    "text",
    ["{x.shout}", "{x.name.upper}", "{l.append}", "{l[9]}", "{l.a}", "{d.items}", "{f.name}"],
)
def test_fstring_never_reaches_methods_and_foreign_attributes(text: str) -> None:
    with pytest.raises(TemplateError, match="part 0"):
        render(text, x=User("a"), l=[1], d={}, f=sys.stdout)


def test_fstring_that_cannot_be_formatted_says_so() -> None:
    with pytest.raises(TemplateError, match="cannot format 'x' as 'd'"):
        render("{x:d}", x="text")


def test_go_subset_fills_in_fields_trims_and_comments() -> None:
    text = "a {{- .x -}} b {{/* note */}}{{ .user.name }}{{.missing_is_not_here_}}"
    assert render(text, "gotemplate", x=1, user=User("u"), missing_is_not_here_=2) == "a1b u2"


@pytest.mark.parametrize(
    "text",
    ["{{if .x}}a{{end}}", "{{range .x}}{{end}}", "{{.x | upper}}", "{{$x}}", "{{.}}", "{{.x"],
)
def test_go_subset_refuses_the_rest_with_the_remedy(text: str) -> None:
    with pytest.raises(TemplateError, match=r"jinja2|not closed"):
        PromptTemplate.from_messages(("user", text), format="gotemplate")


def test_jinja2_that_is_not_installed_is_told_with_the_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("pyeino.components._template_j")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"pyeino\[jinja2\]"):
        PromptTemplate.from_messages(("user", "a"), format="jinja2")


def test_messages_keep_what_is_not_text() -> None:
    message = Message.assistant(
        "{x}", tool_calls=[ToolCall(id="1", function=FunctionCall(name="f", arguments="{}"))]
    )
    (rendered,) = PromptTemplate.from_messages(message).format({"x": 1})
    assert rendered.tool_calls == message.tool_calls


@given(st.text())
def test_fstring_any_text_renders_as_itself_when_braces_are_doubled(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}")) == text


@given(st.text("{}.[]_ax:!0 <", max_size=20))
def test_fuzz_fstrings_give_clear_errors_only(text: str) -> None:
    try:
        render(text, a="x", x=User("n"), ax=[1, 2])
    except TemplateError as error:
        assert "part 0" in str(error)


@given(st.text("{}.-/*_ax |", max_size=20))
def test_fuzz_go_templates_give_clear_errors_only(text: str) -> None:
    try:
        render(text, "gotemplate", a="x", x=User("n"), ax={"x": 1})
    except TemplateError as error:
        assert "part 0" in str(error)
