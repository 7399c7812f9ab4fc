"""Recording, ingesting and reading back, over every store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from bowtie import (
    Bowtie,
    ContractEnded,
    ContractSigned,
    IdentityLinked,
    IdentityUnlinked,
    Mapping,
    Noted,
    Retracted,
    ScoreGiven,
    Touched,
    TraitsObserved,
)
from bowtie.errors import (
    AliasClaimed,
    EventRejected,
    IdReused,
    RuleViolation,
    UnknownName,
    UsageError,
)
from bowtie.events import Event
from bowtie.parked import list_parked
from tests.logs import contract, log, wire

JAN = datetime(2026, 1, 5, tzinfo=UTC)
TOUCH = Touched(channel="web", direction="inbound")


def _ids(engine: Bowtie, customer: str = "acme") -> list[str]:
    return [event.id for event in engine.events(customer)]


class TestRecord:
    """Commands."""

    def test_it_returns_what_was_recorded(self, engine: Bowtie) -> None:
        """With its place, its times and an id."""
        before = datetime.now(UTC)
        (event,) = engine.record("acme", TOUCH, occurred_at=JAN, actor="sam")

        assert (event.subject, event.version, event.position) == ("acme", 1, 1)
        assert event.data == TOUCH
        assert event.occurred_at == JAN
        assert event.recorded_at is not None
        assert event.recorded_at >= before - timedelta(milliseconds=1)
        assert event.actor == "sam"
        assert [event] == list(engine.events("acme"))

    def test_all_or_nothing(self, engine: Bowtie) -> None:
        """One event that is refused refuses the others of the call."""
        with pytest.raises(RuleViolation, match="never signed"):
            engine.record("acme", TOUCH, ContractEnded(contract="c1"))

        assert engine.store.head() == 0

    def test_a_command_can_build_on_the_one_before_it(self, engine: Bowtie) -> None:
        """Within one call too."""
        signed = ContractSigned(
            contract="c1",
            kind="paid",
            amount="100",
            per="month",
            currency="EUR",
            starts_on="2026-01-01",
        )

        assert len(engine.record("acme", signed, ContractEnded(contract="c1"))) == 2

    def test_the_same_id_and_content_change_nothing(self, engine: Bowtie) -> None:
        """Recording again returns what was recorded first."""
        first = engine.record("acme", TOUCH, id="t1", occurred_at=JAN)
        again = engine.record("acme", TOUCH, id="t1", occurred_at=JAN)

        assert first == again
        assert engine.store.head() == 1

    @pytest.mark.parametrize("event", [TOUCH, TraitsObserved(traits={"email": "a@example.org"})])
    def test_the_same_id_without_a_time_keeps_that_of_the_first(
        self, engine: Bowtie, event: Event
    ) -> None:
        """A request that comes twice says the same, though the clock has moved on."""
        first = engine.record("acme", event, id="t1")
        again = engine.record("acme", event, id="t1")

        assert first == again
        assert engine.store.head() == 1
        with pytest.raises(IdReused):
            engine.record("acme", ContractEnded(contract="c1"), id="t1")

    def test_the_same_id_with_other_content_is_refused(self, engine: Bowtie) -> None:
        """Whatever the customer."""
        engine.record("acme", TOUCH, id="t1", occurred_at=JAN)

        with pytest.raises(IdReused):
            engine.record("other", TOUCH, id="t1", occurred_at=JAN)

    def test_an_id_that_the_engine_made_is_unique_too(
        self, engine: Bowtie, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bowtie.recording._new_id", lambda: "1")
        first = engine.record("acme", TOUCH, occurred_at=JAN)

        assert engine.record("acme", TOUCH, occurred_at=JAN) == first
        with pytest.raises(IdReused):
            engine.record("acme", Noted(name="other"), occurred_at=JAN)
        assert _ids(engine) == ["1"]

    def test_naive_and_future_times_are_refused(self, engine: Bowtie) -> None:
        """A time without a zone says nothing; the future is not a fact."""
        with pytest.raises(EventRejected, match="zone"):
            engine.record("acme", TOUCH, occurred_at=datetime(2026, 1, 5))  # noqa: DTZ001
        with pytest.raises(EventRejected, match="future"):
            engine.record("acme", TOUCH, occurred_at=datetime.now(UTC) + timedelta(hours=1))

    def test_an_id_is_for_one_event(self, engine: Bowtie) -> None:
        """And a call without events is a mistake."""
        with pytest.raises(UsageError):
            engine.record("acme", TOUCH, TOUCH, id="t1")
        with pytest.raises(UsageError):
            engine.record("acme")

    def test_an_alias_has_one_owner(self, engine: Bowtie) -> None:
        """Until it is unlinked there."""
        engine.record("acme", IdentityLinked(alias="crm-1"))
        with pytest.raises(AliasClaimed):
            engine.record("other", IdentityLinked(alias="crm-1"))
        engine.record("acme", IdentityUnlinked(alias="crm-1"))

        assert len(engine.record("other", IdentityLinked(alias="crm-1"))) == 1

    def test_keys_are_compared_as_nfc(self, engine: Bowtie) -> None:
        """Two ways to write an umlaut are one customer."""
        engine.record("Mu\u0308ller", TOUCH)

        assert len(list(engine.events("M\u00fcller"))) == 1


class TestIngest:
    """Logs."""

    def test_sending_a_log_again_changes_nothing(self, engine: Bowtie) -> None:
        """Whole, or longer than before."""
        lines = [wire(str(n)) for n in range(5)]
        engine.ingest(BytesIO(log(*lines)))
        again = engine.ingest(BytesIO(log(*lines, wire("new"))))

        assert (again.read, again.appended, again.duplicates) == (6, 1, 5)

    def test_duplicates_within_a_log_are_counted(self, engine: Bowtie) -> None:
        """The first one stays."""
        report = engine.ingest(BytesIO(log(wire("1"), wire("2"), wire("1"))))

        assert (report.appended, report.duplicates) == (2, 1)

    def test_a_reused_id_is_parked(self, engine: Bowtie) -> None:
        """And the rest of the log is kept."""
        report = engine.ingest(
            BytesIO(log(wire("1"), wire("1", time="2026-01-06T00:00:00Z"), wire("2")))
        )

        assert (report.appended, report.parked) == (2, 1)
        assert report.parked_by_reason == {"id_reused": 1}
        assert report.examples[0].line == 2

    def test_a_correction_retracts_and_records(self, engine: Bowtie) -> None:
        """Under ids that say what they correct; each newer word corrects the one before."""
        engine.ingest(BytesIO(log(wire("1"))))
        second = log(wire("1", data={"channel": "mail", "direction": "inbound"}))
        third = log(wire("1", data={"channel": "ads", "direction": "inbound"}))

        report = engine.ingest(BytesIO(second), correct=True)
        engine.ingest(BytesIO(third), correct=True)

        assert (report.read, report.appended, report.corrected) == (1, 2, 1)
        assert _ids(engine) == ["1", "1~1.r", "1~1", "1~2.r", "1~2"]
        retraction = list(engine.events("acme"))[3]
        assert retraction.data == Retracted(of_source="crm", of_id="1~1")
        journey = engine.journey("acme")
        assert journey.state.first_touch is not None
        assert journey.state.first_touch.value.channel == "ads"
        assert engine.ingest(BytesIO(third)).duplicates == 1

    def test_a_correction_may_move_an_event_to_another_customer(self, engine: Bowtie) -> None:
        """The retraction stays with the customer it was wrong for."""
        engine.ingest(BytesIO(log(wire("1", subject="acme"))))
        engine.ingest(BytesIO(log(wire("1", subject="other"))), correct=True)

        assert _ids(engine, "acme") == ["1", "1~1.r"]
        assert _ids(engine, "other") == ["1~1"]
        assert engine.journey("acme").stage is None

    def test_a_logged_fact_out_of_sequence_is_recorded_and_marked(self, engine: Bowtie) -> None:
        """It has happened, whatever the rules say."""
        report = engine.ingest(
            BytesIO(
                log(
                    contract("1", "contract_changed", "2026-02-01T00:00:00Z"),
                    contract("2", "contract_signed", "2026-01-01T00:00:00Z"),
                    contract("3", "contract_changed", "2026-03-01T00:00:00Z"),
                )
            )
        )

        assert (report.appended, report.out_of_sequence) == (3, 1)
        assert [event.out_of_sequence for event in engine.events()] == [True, False, False]

    def test_rules_see_what_earlier_logs_recorded(self, engine: Bowtie) -> None:
        """And forget what was retracted since."""
        engine.ingest(BytesIO(log(contract("1", "contract_signed", "2026-01-01T00:00:00Z"))))
        known = engine.ingest(
            BytesIO(log(contract("2", "contract_changed", "2026-02-01T00:00:00Z")))
        )
        retraction = wire("3", "retracted", data={"of_source": "crm", "of_id": "1"})
        unknown = engine.ingest(
            BytesIO(log(retraction, contract("4", "contract_changed", "2026-02-02T00:00:00Z")))
        )

        assert known.out_of_sequence == 0
        assert unknown.out_of_sequence == 1

    def test_a_second_currency_breaks_a_rule(self, engine: Bowtie) -> None:
        """A contract has one."""
        report = engine.ingest(
            BytesIO(
                log(
                    contract("1", "contract_signed", "2026-01-01T00:00:00Z"),
                    contract("2", "contract_signed", "2026-01-02T00:00:00Z", currency="USD"),
                )
            )
        )

        assert "EUR, not in USD" in report.violations[0]

    def test_a_claimed_alias_is_parked(self, engine: Bowtie) -> None:
        """Here the first one to claim it wins."""
        report = engine.ingest(
            BytesIO(
                log(
                    wire("1", "identity_linked", "acme", data={"alias": "crm-1"}),
                    wire("2", "identity_linked", "other", data={"alias": "crm-1"}),
                )
            )
        )

        assert report.parked_by_reason == {"alias_claimed": 1}

    def test_retractions(self, engine: Bowtie) -> None:
        """Of an event, before the event, of another's event, of a retraction."""
        report = engine.ingest(
            BytesIO(
                log(
                    wire("1"),
                    wire("r1", "retracted", data={"of_source": "crm", "of_id": "1"}),
                    wire("r2", "retracted", data={"of_source": "crm", "of_id": "2"}),
                    wire("2"),
                    wire("r3", "retracted", "other", data={"of_source": "crm", "of_id": "1"}),
                    wire("r4", "retracted", data={"of_source": "crm", "of_id": "r1"}),
                )
            )
        )

        assert report.parked_by_reason == {"wrong_subject": 1, "invalid": 1}
        assert engine.journey("acme").stage is None

    def test_parked_lines_are_tried_again_when_asked(self, engine: Bowtie) -> None:
        """What can be taken by then is recorded, and is no longer parked."""
        engine.ingest(
            BytesIO(
                log(
                    wire("1", "identity_linked", "acme", data={"alias": "crm-1"}),
                    wire("2", "identity_linked", "other", data={"alias": "crm-1"}),
                    b"not json",
                )
            )
        )
        engine.record("acme", IdentityUnlinked(alias="crm-1"))

        report = engine.retry_parked()

        assert (report.read, report.appended, report.parked) == (2, 1, 1)
        assert [line.raw for line in list_parked(engine.store)] == [b"not json"]
        assert _ids(engine, "other") == ["2"]

    def test_the_sum_of_what_names_no_customer_is_said(self, engine: Bowtie) -> None:
        """A return is subtracted."""
        order = {"order": "o1", "kind": "order", "amount": "12.50", "currency": "GBP"}
        report = engine.ingest(
            BytesIO(
                log(
                    wire("1", "order_placed", None, data=order),  # type: ignore[arg-type]
                    wire("2", "order_placed", "", data=order | {"kind": "return", "amount": "2"}),
                )
            )
        )

        assert report.as_dict()["parked_amounts"] == {"no_customer": {"GBP": "10.50"}}

    def test_a_key_like_an_address_is_noticed(self, engine: Bowtie) -> None:
        """It should be a pseudonym."""
        assert engine.ingest(BytesIO(log(wire("1", subject="a@b.c")))).keys_like_addresses == 1


class TestJourney:
    """Reading one customer."""

    def test_as_of_and_known_at(self, engine: Bowtie) -> None:
        """The world as it was, and what was known of it."""
        engine.record("acme", TOUCH, occurred_at=JAN)
        (late,) = engine.record(
            "acme", Noted(name="lead_created"), occurred_at=JAN + timedelta(days=9)
        )
        assert late.recorded_at is not None

        assert engine.journey("acme").stage == "education"
        assert engine.journey("acme", as_of="2026-01-10").stage == "awareness"
        before = late.recorded_at - timedelta(microseconds=1)
        assert engine.journey("acme", known_at=before).stage == "awareness"
        assert engine.journey("acme", known_at=late.recorded_at).stage == "education"

    def test_a_retraction_counts_from_its_recording(self, engine: Bowtie) -> None:
        """Before it, the fact did count."""
        engine.record("acme", TOUCH, id="t1", occurred_at=JAN)
        (retraction,) = engine.record("acme", Retracted(of_source="bowtie", of_id="t1"))
        assert retraction.recorded_at is not None

        assert engine.journey("acme").stage is None
        before = retraction.recorded_at - timedelta(microseconds=1)
        assert engine.journey("acme", known_at=before).stage == "awareness"

    def test_an_unknown_customer_is_an_error(self, engine: Bowtie) -> None:
        """It says to check the key."""
        with pytest.raises(UnknownName, match="nobody"):
            engine.journey("nobody")

    def test_personal_fields_come_back_in_plain(self, engine: Bowtie) -> None:
        """To who holds the store's key."""
        engine.record("acme", TraitsObserved(traits={"email": "ada@example.org", "plan": "pro"}))
        engine.record("acme", ScoreGiven(instrument="nps", score=9, comment="lovely"))
        journey = engine.journey("acme")

        assert journey.traits == {"email": "ada@example.org", "plan": "pro"}
        assert "lovely" in repr(journey.events)


class TestExport:
    """Out and back."""

    def _filled(self, engine: Bowtie) -> None:
        engine.record("acme", TOUCH, occurred_at=JAN, actor="sam")
        engine.record("acme", TraitsObserved(traits={"email": "ada@example.org", "n": None}))
        engine.ingest(
            BytesIO(
                log(
                    contract("1", "contract_changed", "2026-02-01T00:00:00Z"),
                    wire("2", traceparent="00-1", timeprecision="day"),
                    wire("3", "identity_linked", data={"alias": "crm-1"}),
                )
            )
        )

    def test_restoring_an_export_gives_the_same_export(self, engine: Bowtie) -> None:
        """But for the header and the positions."""
        import json

        self._filled(engine)
        lines = list(engine.export())
        dump = log(*(json.dumps(line).encode() for line in lines))
        with Bowtie.open("memory://") as other:
            report = other.restore(BytesIO(dump))
            again = list(other.export())

        assert report.appended == len(lines) - 1
        assert lines[1:] == again[1:]

    def test_a_restore_needs_an_empty_store(self, engine: Bowtie) -> None:
        """Else it would mix two logs."""
        import json

        self._filled(engine)
        dump = log(*(json.dumps(line).encode() for line in engine.export()))

        with pytest.raises(UsageError, match="not empty"):
            engine.restore(BytesIO(dump))

    def test_an_export_sent_back_is_recognised(self, engine: Bowtie) -> None:
        """Sealed fields are opened before they are compared."""
        import json

        self._filled(engine)
        for reveal in (False, True):
            dump = log(*(json.dumps(line).encode() for line in engine.export(reveal=reveal)))
            report = engine.ingest(BytesIO(dump))
            assert (report.appended, report.duplicates) == (0, 5)

    def test_a_plain_log_is_no_export(self, engine: Bowtie) -> None:
        """It has no header."""
        with pytest.raises(UsageError, match="no export"):
            engine.restore(BytesIO(log(wire("1"))))


class TestMapping:
    """Foreign rows."""

    _TEXT = """
name = "visits"
version = 1
source = "shop"
customer = "who"
time = {{ column = "day", zone = "UTC" }}
id = "nr"
[[events]]
type = "order_placed"
const = {{ kind = "order", currency = "{currency}" }}
columns = {{ order = "nr", amount = "sum" }}
"""

    def test_rows_become_events_and_what_cannot_is_parked(self, engine: Bowtie) -> None:
        """And a mended mapping takes the parked rows in, under the ids they had."""
        rows = BytesIO(b"nr,who,day,sum\n1,a,2026-01-05,10.50\n2,b,2026-01-06,x\n3,,2026-01-06,5\n")
        mapping = Mapping.load(self._TEXT.format(currency="EUR"))

        report = engine.ingest(rows, mapping=mapping, format="csv")

        assert (report.read, report.appended) == (3, 1)
        assert report.parked_by_reason == {"invalid": 1, "no_customer": 1}
        assert report.as_dict()["parked_amounts"] == {"no_customer": {"EUR": "5"}}

        text = self._TEXT.format(currency="EUR")
        mended = Mapping.load(text.replace('amount = "sum"', 'amount = "nr"'))
        again = engine.retry_parked(mapping=mended)
        assert (again.appended, again.parked) == (1, 1)
        assert _ids(engine, "b") == ["2:order_placed"]


def test_a_line_that_is_not_utf8_is_parked(engine: Bowtie) -> None:
    """Wherever in the line the wrong bytes stand."""
    latin = wire("1", subject="m\u00fcller").replace(b"\\u00fc", b"\xfc")
    report = engine.ingest(BytesIO(log(latin, wire("2"))))

    assert report.parked_by_reason == {"unreadable": 1}
    assert report.appended == 1


def test_a_refused_line_holds_on_to_nothing(engine: Bowtie) -> None:
    """The collector is off during an ingest: what refers to itself would stay until its end."""
    import gc

    lines = [wire(str(n)) for n in range(50)] + [b"{", wire("x", "toched"), wire("1", subject="b")]
    gc.collect()
    gc.disable()
    try:
        assert engine.ingest(BytesIO(log(*lines))).parked == 3
        left = [thing for thing in gc.get_objects() if type(thing).__name__ == "Line"]
    finally:
        gc.enable()

    assert left == []


class TestAliases:
    """A claim follows from the newest word on the alias that counts."""

    def _link(self, event_id: str, subject: str, alias: str = "x") -> bytes:
        return wire(event_id, "identity_linked", subject, data={"alias": alias})

    def test_a_retracted_link_lets_its_alias_go(self, engine: Bowtie) -> None:
        retraction = wire("r", "retracted", "a", data={"of_source": "crm", "of_id": "1"})
        report = engine.ingest(BytesIO(log(self._link("1", "a"), retraction, self._link("2", "b"))))

        assert (report.appended, report.parked) == (3, 0)

    def test_a_retracted_unlink_gives_it_back(self, engine: Bowtie) -> None:
        unlink = wire("2", "identity_unlinked", "a", data={"alias": "x"})
        retraction = wire("r", "retracted", "a", data={"of_source": "crm", "of_id": "2"})
        report = engine.ingest(
            BytesIO(log(self._link("1", "a"), unlink, retraction, self._link("3", "b")))
        )

        assert report.parked_by_reason == {"alias_claimed": 1}

    def test_a_link_retracted_before_it_comes_claims_nothing(self, engine: Bowtie) -> None:
        retraction = wire("r", "retracted", "a", data={"of_source": "crm", "of_id": "1"})
        report = engine.ingest(BytesIO(log(retraction, self._link("1", "a"), self._link("2", "b"))))

        assert (report.appended, report.parked) == (3, 0)

    def test_a_link_can_be_corrected_to_another_customer(self, engine: Bowtie) -> None:
        engine.ingest(BytesIO(log(self._link("1", "a"))))
        report = engine.ingest(BytesIO(log(self._link("1", "b"))), correct=True)

        assert (report.corrected, report.parked) == (1, 0)
        with pytest.raises(AliasClaimed):
            engine.record("a", IdentityLinked(alias="x"))

    def test_links_form_a_forest(self, engine: Bowtie) -> None:
        report = engine.ingest(
            BytesIO(
                log(self._link("1", "a", "b"), self._link("2", "b", "a"), self._link("3", "c", "c"))
            )
        )

        assert report.parked_by_reason == {"invalid": 1, "alias_claimed": 1}

    def test_a_link_that_closes_a_circle_is_a_conflict(self, engine: Bowtie) -> None:
        """However long the way round is."""
        engine.record("a", IdentityLinked(alias="b"))
        engine.record("b", IdentityLinked(alias="c"))
        with pytest.raises(AliasClaimed, match="this customer is an alias of it already"):
            engine.record("c", IdentityLinked(alias="a"))

        engine.record("a", IdentityUnlinked(alias="b"))
        assert len(engine.record("c", IdentityLinked(alias="a"))) == 1

    def test_an_alias_comes_back_only_where_it_can(self, engine: Bowtie) -> None:
        """A retracted unlink would else give it a second owner, or close a circle."""
        engine.record("a", IdentityLinked(alias="x"))
        engine.record("a", IdentityUnlinked(alias="x"), source="crm", id="2")
        engine.record("b", IdentityLinked(alias="x"))
        with pytest.raises(AliasClaimed, match="has found its place"):
            engine.record("a", Retracted(of_source="crm", of_id="2"))

        engine.record("b", IdentityUnlinked(alias="x"))
        engine.record("x", IdentityLinked(alias="a"))
        with pytest.raises(AliasClaimed, match="has found its place"):
            engine.record("a", Retracted(of_source="crm", of_id="2"))


class TestBoundaries:
    """Where two readings of a line could part."""

    def test_a_corrected_currency_breaks_no_rule(self, engine: Bowtie) -> None:
        """The right event is judged without the wrong one."""
        engine.ingest(BytesIO(log(contract("1", "contract_signed", "2026-01-01T00:00:00Z"))))
        right = contract("1", "contract_signed", "2026-01-01T00:00:00Z", currency="USD")
        report = engine.ingest(BytesIO(log(right)), correct=True)

        assert (report.corrected, report.out_of_sequence) == (1, 0)

    def test_a_signed_return_is_refused(self, engine: Bowtie) -> None:
        """It would be added instead of subtracted."""
        data = {"order": "o", "kind": "return", "amount": "-5.00", "currency": "EUR"}
        report = engine.ingest(BytesIO(log(wire("1", "order_placed", data=data))))

        assert report.parked_by_reason == {"invalid": 1}

    def test_a_document_has_the_hash_of_its_body(self, engine: Bowtie) -> None:
        data = {"name": "d", "version": "1", "body": "x = 1", "sha256": "0" * 64}
        report = engine.ingest(BytesIO(log(wire("1", "document_published", "d", data=data))))

        assert report.parked_by_reason == {"invalid": 1}

    def test_digits_below_a_microsecond_are_read_alike(self, engine: Bowtie) -> None:
        """With and without an extension, which takes the slow lane."""
        time = "2026-01-05T10:00:00.1234567Z"
        report = engine.ingest(
            BytesIO(log(wire("1", time=time), wire("1", time=time, traceparent="00-1")))
        )

        assert (report.appended, report.duplicates) == (1, 1)

    def test_a_row_that_a_mapping_makes_nothing_of_stays_parked(self, engine: Bowtie) -> None:
        text = TestMapping._TEXT.format(currency="EUR")
        engine.ingest(
            BytesIO(b"nr,who,day,sum\n2,b,2026-01-06,x\n"), mapping=Mapping.load(text), format="csv"
        )
        nothing = Mapping.load(text + 'when = { nr = "9" }\n')
        report = engine.retry_parked(mapping=nothing)

        assert (report.read, report.parked, report.unused_rows) == (1, 1, 1)
        assert engine.store.parked_counts() == {"invalid": 1}
