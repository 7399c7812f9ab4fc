"""Documents that something happened to: read, or refused with their line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie import Bowtie, Mapping, Touched
from bowtie.errors import BowtieError, DefinitionError, FileError, MappingError, UsageError
from bowtie.policies import load_policy, publish_policy
from bowtie.profiles import load_profile, publish_profile
from bowtie.segments import load_segment, publish_segment
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.traits import read_traits
from tests.faults.damaging import damaged_text

T = TypeVar("T")
_ROOT = Path(__file__).parents[2]
_MAPPINGS = {
    name: (_ROOT / "examples" / name).read_text("utf-8")
    for name in ("ecom/ecom.toml", "online_retail/retail.toml")
}
_ROWS = {
    "ecom/ecom.toml": (
        b"user_id,session_id,timestamp,event,acquisition_channel,platform,user_cohort,user_lifecycle\n"
        b"u1,s1,2023-01-02 10:00:00,home,search,ios,a,new\n"
        b"u1,s1,2023-01-02 10:01:00,purchase,search,ios,a,new\n"
        b"u2,s2,2023-01-03 10:01:00,cart,mail,,a,old\n"
    ),
    "online_retail/retail.toml": (
        b"InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        b"1,a,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
        b"C2,b,-1,2010-12-02 08:26:00,3.39,17850,France\n"
        b"3,c,8,2010-12-02 09:00:00,2.75,,France\n"
    ),
}
_DEFINITIONS = {
    name: (_ROOT / "bowtie" / "stages" / name).read_text("utf-8")
    for name in ("b2b-1.toml", "shop-1.toml")
}
#: Values of every kind that TOML has, where another kind was meant, and such as nothing can be.
_ODD = (
    '"x"', '""', '" "', r'"a\u0000b"', r'"\U0001F984\n\u202e"', '"0"', '"-1"', '"1e5"', '"NaN"',
    "0", "-1", "1.5", "99999999999999999999", "nan", "inf", "1e400", "true", "2026-01-01",
    "9999-12-31", "0001-01-01", "2026-01-01T10:00:00Z", "10:00:00", "[]", '["x"]', "[[nan]]", "{}",
    "{ x = 1 }", '{ text = "x" }',
)  # fmt: skip
_PUBLISHED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "policies/worth.toml": (load_policy, publish_policy),
    "profiles/lookalike.toml": (load_profile, publish_profile),
    "segments/warm.toml": (load_segment, publish_segment),
}
_VALUE = re.compile(r"^(?P<key>[a-z_]+) = .*$", re.MULTILINE)


def _with_odd_values(text: str) -> Iterator[str]:
    """The text with another value for one of its keys, for each of them."""
    for found in _VALUE.finditer(text):
        for odd in _ODD:
            yield f"{text[: found.end('key')]} = {odd}{text[found.end() :]}"


def _read(load: Callable[[str], T], text: str) -> T | DefinitionError | MappingError:
    """What a document says, or the error that names a line of it."""
    try:
        return load(text)
    except (DefinitionError, MappingError) as error:
        found: DefinitionError | MappingError = error
    assert found.line is None or 1 <= found.line <= text.count("\n") + 1
    return found


@pytest.mark.parametrize("name", sorted(_MAPPINGS))
@given(data=st.data())
def test_a_damaged_mapping_is_refused_or_accounts_for_each_row(
    name: str, data: st.DataObject
) -> None:
    text = data.draw(damaged_text(_MAPPINGS[name])) + "\n"
    mapping = _read(Mapping.load, text)
    if isinstance(mapping, BowtieError):
        return
    with Bowtie.open("memory://") as engine:
        try:
            report = engine.ingest(BytesIO(_ROWS[name]), mapping=mapping, format="csv")
        except (MappingError, FileError):
            return
        assert report.read == report.appended + report.duplicates + report.parked
        assert engine.store.head() == report.appended
        engine.retry_parked(mapping=mapping)


@pytest.mark.parametrize("name", sorted(_DEFINITIONS))
@given(data=st.data())
def test_a_damaged_definition_is_refused_or_can_be_asked(name: str, data: st.DataObject) -> None:
    """In Python and in SQL."""
    text = data.draw(damaged_text(_DEFINITIONS[name])) + "\n"
    definition = _read(load_definition, text)
    if isinstance(definition, BowtieError):
        return
    with Bowtie.open("memory://") as engine:
        engine.record("acme", Touched(channel="web", direction="inbound"))
        with Views.open(engine, "memory://") as views:
            views.funnel(definition=definition)
            engine.journey("acme", definition=definition)


@pytest.mark.parametrize("name", sorted(_PUBLISHED))
def test_a_document_with_an_odd_value_is_refused_or_stands_for_ever(name: str) -> None:
    load, publish = _PUBLISHED[name]
    given = (_ROOT / "examples" / name).read_text("utf-8")
    version = 0
    with Bowtie.open("memory://") as engine:
        for text in _with_odd_values(given):
            if isinstance(_read(load, text), BowtieError):
                continue
            version += 1  # each is one of its own, unless the version itself is odd
            numbered = text.replace("\nversion = 1\n", f"\nversion = {version}\n")
            document = publish(engine, numbered)
            again = load(document.label, published={document.label: document.body})
            assert (again.text, again.sha256) == (document.body, document.sha256)
    assert version


def test_traits_with_an_odd_value_are_refused_or_read() -> None:
    given = '[seats]\nkind = "fit"\ntimeless = true\nreason = "x"\nbins = [10]\nsplit = false\n'
    read = 0
    for text in _with_odd_values(given):
        with suppress(UsageError):
            read += len(read_traits(text))
    assert read
