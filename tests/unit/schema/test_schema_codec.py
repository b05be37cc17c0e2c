"""The codec: values come back equal, and bad bytes are clear errors."""

import dataclasses
import datetime
import decimal
import enum
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import CodecError, DeclarationError
from pyeino.schema import (
    Codec,
    Document,
    FunctionCall,
    ImagePart,
    Message,
    ReasoningPart,
    ResponseMeta,
    Role,
    StoredType,
    TextPart,
    TokenUsage,
    ToolCall,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = ("b", 1)


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Model(pydantic.BaseModel):
    size: int
    tags: list[str] = []


class Loose(pydantic.BaseModel, extra="allow"):
    size: int


@dataclasses.dataclass(frozen=True)
class Inner:
    point: Point
    colour: Colour = Colour.RED


@dataclasses.dataclass
class State:
    history: list[Message]
    inner: Inner | None = None
    anything: Any = None
    by_number: dict[int, str] = dataclasses.field(default_factory=dict)
    names: frozenset[str] = frozenset()
    next: Optional["State"] = None


@dataclasses.dataclass
class One:
    value: int | str


@dataclasses.dataclass
class Other:
    value: int


@dataclasses.dataclass
class Either:
    one: One | Other
    pair: tuple[One, Other]
    several: dict[str, list[One | Other | None]]


class Renamed(msgspec.Struct, rename="camel", frozen=True):
    long_name: int
    model: Model | None = None


CODEC = Codec(State, Renamed, Loose)


def test_every_kind_of_value_comes_back_equal_and_of_its_class() -> None:
    value = State(
        history=[Message.user("a", parts=[ImagePart(url="u", extra={"t": (1, 2)})])],
        inner=Inner(point=Point(1, 2.5), colour=Colour.BLUE),
        anything={
            "document": Document(id="1", meta_data={"_score": 0.5}),
            "model": Model(size=3),
            "renamed": Renamed(long_name=1, model=Model(size=1)),
            "~": "a key like the codec's own",
            "v": 1,
            "sets": [{1, 2}, frozenset({"a"}), (1, (2,))],
            "times": [
                datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
                datetime.datetime(2026, 1, 2),
                datetime.date(2026, 1, 2),
                datetime.time(1, 2),
                datetime.timedelta(days=-1, microseconds=3),
            ],
            "numbers": [2**70, -(2**70), 2**63, 1.5, True, decimal.Decimal("1.10")],
            "uuid": uuid.UUID(int=5),
            "bytes": b"\x00\xff",
            "none": None,
        },
        by_number={1: "a"},
        names=frozenset({"x"}),
        next=State(history=[]),
    )
    back = CODEC.decode(CODEC.encode(value), State)
    assert back == value
    assert type(back.anything["model"]) is Model
    assert type(back.anything["numbers"][4]) is bool
    assert [type(one) for one in back.anything["sets"]] == [set, frozenset, tuple]
    assert CODEC.decode(CODEC.encode(value)) == value


def test_unions_of_records_and_containers_keep_the_class() -> None:
    codec = Codec(Either)
    for one in (One(1), Other(1)):
        value = Either(one=one, pair=(One("a"), Other(2)), several={"a": [one, None]})
        assert codec.decode(codec.encode(value), Either) == value
    wrong = codec.encode({"pair": (Other(1), Other(1))})
    with pytest.raises(CodecError, match=r"expected One, found Other at \$\['pair'\]\[0\]"):
        codec.decode(wrong, dict[str, tuple[One, Other]])


def test_messages_and_documents_need_no_declaration() -> None:
    for value in (Message.user("a"), Document(id="1"), Role.USER, ToolCall(id="1")):
        assert Codec().decode(Codec().encode(value)) == value


def test_undeclared_types_name_the_path_and_the_remedy() -> None:
    with pytest.raises(CodecError, match=r"\$\.a\[1\].*Codec\(State\)"):
        Codec().encode({"a": [1, State(history=[])]})
    with pytest.raises(CodecError, match="lock"):
        CODEC.encode(threading.Lock())
    with pytest.raises(CodecError, match=r"undeclared fields.*other"):
        CODEC.encode(Loose.model_validate({"size": 1, "other": 2}))


def test_unknown_types_and_newer_versions_name_the_path() -> None:
    data = CODEC.encode({"a": [State(history=[])]})
    with pytest.raises(CodecError, match=r"State.*\$\.a\[0\]"):
        Codec().decode(data)
    newer = Codec(StoredType(type=Model, name="m", version=3)).encode([Model(size=1)])
    with pytest.raises(CodecError, match=r"version.*\$\[0\].*expected 1 to 2; found 3"):
        Codec(StoredType(type=Model, name="m", version=2)).decode(newer)


class ModelOfOld(msgspec.Struct):
    width: int


class ModelOfNow(msgspec.Struct):
    size: int
    unit: str


def test_old_versions_go_through_every_up_caster() -> None:
    old = Codec(StoredType(type=ModelOfOld, name="old-name"))
    now = Codec(
        StoredType(
            type=ModelOfNow,
            name="new-name",
            version=3,
            aliases=("old-name",),
            upcasters={
                1: lambda fields: {"size": fields["width"]},
                2: lambda fields: {**fields, "unit": "mm"},
            },
        )
    )
    assert now.decode(old.encode([ModelOfOld(width=7)])) == [ModelOfNow(size=7, unit="mm")]


def test_missing_and_failing_up_casters_are_clear() -> None:
    data = Codec(StoredType(type=ModelOfOld, name="m")).encode(ModelOfOld(width=7))
    with pytest.raises(CodecError, match="version 1 of m into 2"):
        Codec(StoredType(type=ModelOfNow, name="m", version=2)).decode(data)
    failing = StoredType(
        type=ModelOfNow, name="m", version=2, upcasters={1: lambda fields: fields["nothing"]}
    )
    with pytest.raises(CodecError, match="up-caster of m from version 1 failed"):
        Codec(failing).decode(data)


def test_a_field_that_the_type_does_not_have_is_an_error() -> None:
    data = Codec(StoredType(type=ModelOfOld, name="m")).encode(ModelOfOld(width=7))
    with pytest.raises(CodecError, match="no field 'width'"):
        Codec(StoredType(type=ModelOfNow, name="m")).decode(data)


def test_the_expected_type_is_checked() -> None:
    with pytest.raises(CodecError, match="do not fit"):
        CODEC.decode(CODEC.encode({"history": 1}), State)
    assert CODEC.decode(CODEC.encode([Message.user("a")]), list[Message]) == [Message.user("a")]


def test_types_with_one_name_and_types_that_are_no_records_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two stored types"):
        Codec(StoredType(type=Model, name="m"), StoredType(type=Point, name="m"))
    with pytest.raises(DeclarationError):
        Codec(StoredType(type=threading.Thread))


def test_annotations_that_cannot_be_resolved_are_refused() -> None:
    @dataclasses.dataclass
    class Lost:
        value: "NoSuchName"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DeclarationError, match="Lost"):
        Codec(Lost)


def test_problems_are_told_before_there_is_a_value() -> None:
    @dataclasses.dataclass
    class Bad:
        run: Callable[[int], int]
        threads: list[threading.Thread | None]
        fine: Sequence[Message]
        open: Any

    assert CODEC.problems(State) == ()
    assert CODEC.problems(list[Message] | None) == ()
    found = Codec(Bad).problems(Bad)
    assert len(found) == 2
    assert any("Bad.run" in one and "Callable" in one for one in found)
    assert any("Bad.threads" in one and "Thread" in one for one in found)
    assert "State" in Codec().problems(State)[0]


def test_values_that_contain_themselves_and_deep_bytes_are_errors() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CodecError, match="nested too deeply"):
        CODEC.encode(loop)
    deep = b"\x93\xa6pyeino\x01" + b"\x91" * 300 + b"\xc0"
    with pytest.raises(CodecError, match="nested too deeply"):
        CODEC.decode(deep)
    with pytest.raises(CodecError):
        CODEC.decode(b"\x91" * 100_000 + b"\xc0")


def test_foreign_bytes_and_formats_are_told_apart() -> None:
    for data in (b"", b"hello", msgspec.msgpack.encode([1, 2, 3]), b"\xdd\xff\xff\xff\xff"):
        with pytest.raises(CodecError):
            CODEC.decode(data)
    with pytest.raises(CodecError, match="format version; expected 1; found 2"):
        CODEC.decode(msgspec.msgpack.encode(["pyeino", 2, None]))


def test_decoding_imports_and_calls_nothing_by_name() -> None:
    tree = {"~": "os.system", "v": 1, "d": {"command": "true"}}
    with pytest.raises(CodecError, match=r"unknown type 'os\.system'"):
        CODEC.decode(msgspec.msgpack.encode(["pyeino", 1, tree]))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.frozensets(st.text() | st.integers() | st.booleans())
        | st.dictionaries(st.text() | st.just("~"), inner)
        | st.dictionaries(st.integers() | st.text() | st.dates(), inner)
    ),
    max_leaves=12,
)
messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    content=st.text(),
    assistant_output_multi_content=st.lists(
        st.builds(TextPart, text=st.text(), streaming_index=st.none() | st.integers(0, 9))
        | st.builds(ReasoningPart, text=st.text(), signature=st.text())
    ).map(tuple),
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            index=st.none() | st.integers(0, 3),
            id=st.text(),
            function=st.builds(FunctionCall, name=st.text(), arguments=st.text()),
        ),
        max_size=3,
    ).map(tuple),
    response_meta=st.none()
    | st.builds(ResponseMeta, finish_reason=st.text(), usage=st.none() | st.builds(TokenUsage)),
    extra=st.dictionaries(st.text(), plain, max_size=3),
)
states = st.builds(
    State,
    history=st.lists(messages, max_size=3),
    inner=st.none()
    | st.builds(
        Inner,
        point=st.builds(Point, x=st.integers(), y=st.floats(allow_nan=False)),
        colour=st.sampled_from(Colour),
    ),
    anything=plain | messages | st.builds(Model, size=st.integers()),
    by_number=st.dictionaries(st.integers(), st.text()),
    names=st.frozensets(st.text()),
)


@given(states)
def test_round_trip_of_any_state(state: State) -> None:
    back = CODEC.decode(CODEC.encode(state), State)
    assert back == state
    # Equal values give equal bytes; 1 and True, which Python calls equal, stay apart.
    assert CODEC.encode(back) == CODEC.encode(state)


@given(plain)
def test_round_trip_of_plain_data(value: Any) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


def decode_or_codec_error(data: bytes) -> None:
    for expected in (Any, State):
        try:
            CODEC.decode(data, expected)
        except CodecError as error:
            assert str(error)


@given(st.binary(max_size=200))
def test_fuzz_random_bytes_give_clear_errors_only(data: bytes) -> None:
    decode_or_codec_error(data)


@given(states, st.data())
def test_fuzz_damaged_bytes_give_clear_errors_only(state: State, data: st.DataObject) -> None:
    damaged = bytearray(CODEC.encode(state))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    decode_or_codec_error(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


raw_trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(0, 9), inner)
        | st.fixed_dictionaries(
            {
                "~": st.sampled_from(
                    [
                        *("tuple", "set", "dict", "datetime", "date", "timedelta", "int", "uuid"),
                        *("decimal", "pyeino.Message", "pyeino.Role", "pyeino.ImagePart"),
                        *(f"{__name__}.State", f"{__name__}.Point", f"{__name__}.Colour"),
                    ]
                )
                | inner,
                "v": st.integers(0, 3) | inner,
                "d": inner | st.dictionaries(st.sampled_from(["role", "content", "x", "y"]), inner),
            }
        )
    ),
    max_leaves=15,
)


@given(raw_trees)
def test_fuzz_forged_trees_give_clear_errors_only(tree: Any) -> None:
    decode_or_codec_error(msgspec.msgpack.encode(["pyeino", 1, tree]))
