"""Documents: typed accessors over metadata, never changed in place."""

import msgspec
import pytest

from pyeino.errors import ConcatError
from pyeino.schema import Codec, Document


def test_accessors_give_back_what_was_set_and_leave_the_original_alone() -> None:
    plain = Document(id="1", content="text", meta_data={"source": "a"})
    full = (
        plain.with_score(0.5)
        .with_sub_indexes(["x", "y"])
        .with_extra_info("info")
        .with_dsl({"term": {"a": 1}})
        .with_dense_vector([1.0, 2])
        .with_sparse_vector({3: 0.5})
    )
    assert full.score == 0.5
    assert full.sub_indexes == ("x", "y")
    assert full.extra_info == "info"
    assert full.dsl == {"term": {"a": 1}}
    assert full.dense_vector == (1.0, 2)
    assert full.sparse_vector == {3: 0.5}
    assert full.meta_data["source"] == "a"
    assert plain.meta_data == {"source": "a"}
    assert (full.id, full.content) == ("1", "text")


def test_absent_or_foreign_values_read_as_empty() -> None:
    odd = {
        "_score": "high",
        "_sub_indexes": [1],
        "_extra_info": 3,
        "_dsl": [],
        "_dense_vector": ["x"],
        "_sparse_vector": {"a": 1},
    }
    for document in (Document(), Document(meta_data=odd), Document(meta_data={"_score": True})):
        assert document.score == 0.0
        assert document.sub_indexes == ()
        assert document.extra_info == ""
        assert document.dsl == {}
        assert document.dense_vector is None
        assert document.sparse_vector == {}


def test_metadata_is_merged_not_replaced() -> None:
    document = Document(meta_data={"a": 1, "b": 2}).with_metadata({"b": 3})
    assert document.meta_data == {"a": 1, "b": 3}


def test_round_trips_keep_sparse_vectors() -> None:
    document = Document(id="1").with_sparse_vector({7: 0.25})
    assert Codec().decode(Codec().encode(document), Document) == document
    read = msgspec.json.decode(msgspec.json.encode(document), type=Document)
    assert read.sparse_vector == {7: 0.25}


def test_chunks_of_one_document_add_up() -> None:
    chunks = [
        Document(id="1", content="a", meta_data={"source": "x"}),
        Document(content="b").with_score(0.5),
    ]
    assert Document.__concat__(chunks) == Document(
        id="1", content="ab", meta_data={"source": "x", "_score": 0.5}
    )
    with pytest.raises(ConcatError, match="id"):
        Document.__concat__([Document(id="1"), Document(id="2")])


def test_documents_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Document().content = "b"  # type: ignore[misc]
