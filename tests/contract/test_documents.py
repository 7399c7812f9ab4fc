"""Definitions as documents of the log: published once, found by name, the same for ever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bowtie import Bowtie, Retracted
from bowtie.errors import DefinitionError, EventRejected, UnknownName
from bowtie.events import DocumentPublished
from bowtie.stages import load_definition

ACADEMY = """
name = "academy"
version = 1
[[stages.commitment]]
event = "contract_signed"
"""


def newer(text: str, version: int) -> str:
    return text.replace("version = 1", f"version = {version}")


def test_a_definition_is_found_by_its_name_and_version(engine: Bowtie) -> None:
    document = engine.publish_definition(ACADEMY)

    assert (document.label, document.kind, document.body) == ("academy/1", "definition", ACADEMY)
    assert document.position == engine.store.head() == 1
    assert engine.load_definition("academy/1").text == ACADEMY
    assert engine.documents("definition") == [document]


def test_a_name_without_a_version_is_the_newest(engine: Bowtie) -> None:
    for version in (2, 10, 3):
        engine.publish_definition(newer(ACADEMY, version))

    assert engine.load_definition("academy").label == "academy/10"
    assert [one.version for one in engine.documents("definition")] == ["2", "10", "3"]


def test_a_name_beside_those_that_come_along(engine: Bowtie) -> None:
    """The newest of all, published or not."""
    shop = load_definition("shop").text
    engine.publish_definition(newer(shop, 2))

    assert engine.load_definition("shop").label == "shop/2"
    assert engine.load_definition("shop/1") == load_definition("shop/1")
    assert engine.load_definition("b2b").label == "b2b/1"


def test_publishing_again_changes_nothing(engine: Bowtie) -> None:
    first = engine.publish_definition(ACADEMY)
    assert engine.publish_definition(ACADEMY) == first
    assert engine.store.head() == 1


def test_one_name_and_version_is_one_text(engine: Bowtie) -> None:
    engine.publish_definition(ACADEMY)
    other = ACADEMY + "# another\n"
    for call in (engine.publish_definition, engine.init, engine.load_definition):
        with pytest.raises(DefinitionError, match="higher version"):
            call(other)
    assert engine.definition.label == "b2b/1"


def test_the_store_s_own_text_is_not_published_otherwise(engine: Bowtie) -> None:
    engine.init(ACADEMY)
    with pytest.raises(DefinitionError, match="higher version"):
        engine.publish_definition(ACADEMY + "# another\n")
    assert engine.publish_definition(ACADEMY).label == "academy/1"


def test_one_that_comes_along_is_not_published_otherwise(engine: Bowtie) -> None:
    with pytest.raises(DefinitionError, match="comes with bowtie"):
        engine.publish_definition(load_definition("b2b").text + "# another\n")


def test_a_store_takes_a_published_one_for_its_own(engine: Bowtie) -> None:
    engine.publish_definition(ACADEMY)
    engine.init("academy/1")
    assert engine.definition.label == "academy/1"


def test_one_that_was_retracted_is_there_no_more(engine: Bowtie) -> None:
    engine.publish_definition(ACADEMY)
    (recorded,) = engine.events()
    engine.record(
        "academy",
        Retracted(of_source=recorded.source, of_id=recorded.id),
        kind="definition",
    )

    assert engine.documents("definition") == []
    with pytest.raises(UnknownName, match="academy/1"):
        engine.load_definition("academy/1")
    with pytest.raises(EventRejected, match="published with another body"):
        engine.publish_definition(ACADEMY + "# another\n")


def test_documents_of_one_kind_are_no_others(engine: Bowtie) -> None:
    """Nor those in a stream of another name, which could hold a second text of one label."""
    text = ACADEMY
    sha = load_definition(text).sha256
    document = DocumentPublished(name="academy", version="1", body=text, sha256=sha)
    at = datetime(2026, 1, 5, tzinfo=UTC)
    engine.record("academy", document, kind="policy", occurred_at=at)
    engine.record("elsewhere", document, kind="definition", occurred_at=at)

    assert engine.documents("definition") == []
    assert [one.kind for one in engine.documents("policy")] == ["policy"]


def test_a_document_that_calls_itself_otherwise_is_refused(engine: Bowtie) -> None:
    sha = load_definition(ACADEMY).sha256
    engine.record(
        "mine",
        DocumentPublished(name="mine", version="3", body=ACADEMY, sha256=sha),
        kind="definition",
    )
    with pytest.raises(DefinitionError, match="calls itself academy/1"):
        engine.load_definition("mine/3")
