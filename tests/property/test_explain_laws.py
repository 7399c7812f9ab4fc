"""What is named behind a figure, against a plain reading of the same events."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.stock import stock
from tests.histories import DEFINITIONS, logs, moments
from tests.naive_stages import closes, in_cycle, plain_times
from tests.read_tables import FilledTables, Said, counted

COUNTS = (
    "entered", "reached_next", "out_of_order", "lost", "expired", "reached_late", "pending",
    "mature", "imputed",
)  # fmt: skip
#: By which events a close can be made, by what is said of it.
CLOSING = {
    "disqualified": {"disqualified"},
    "contract ended": {"contract_ended"},
    "contract replaced": {"contract_signed"},
    "contract ran out": {"contract_signed", "contract_renewed"},
}

of_funnel = st.fixed_dictionaries(
    {
        "by": st.sampled_from([[], [], ["channel"]]),
        "within": st.sampled_from([None, "7d", "30d"]),
        "cohort": st.sampled_from([None, None, "month", "week"]),
        "from_": st.sampled_from([None, None, "2024-01-15"]),
        "skipped": st.sampled_from(["absent", "impute"]),
        "cycles": st.booleans(),
        "cohort_stage": st.sampled_from([None, None, "selection"]),
        "lost_after": st.sampled_from([None, None, "10d"]),
        "include_truncated": st.just(True),
    }
)


@dataclass(frozen=True)
class Asked:
    """A question of some view, the cut it is asked at, and which of its figures to explain."""

    definition: Definition
    parameters: dict[str, Any]
    position: int | None
    as_of: datetime | None
    figure: int

    def cut(self, memory: FilledTables) -> Cut:
        return Cut(memory.position if self.position is None else self.position, self.as_of)

    def known(self, facts: list[Said], cut: Cut) -> list[Said]:
        """The facts that count."""
        known = counted(facts, cut.position)
        return [f for f in known if self.as_of is None or f.occurred_at <= self.as_of]

    def now(self, known: list[Said]) -> datetime | None:
        return self.as_of or max((fact.occurred_at for fact in known), default=None)


def questions(parameters: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Asked]:
    return st.builds(
        Asked,
        definition=st.sampled_from(DEFINITIONS),
        parameters=parameters,
        position=st.none() | st.integers(0, 35),
        as_of=st.none() | moments,
        figure=st.integers(0, 1000),
    )


def entering(definition: Definition, own: list[Said]) -> dict[tuple[str, datetime], set[int]]:
    """The events that enter each stage at each moment, by the rules word by word."""
    journey: Any = own
    rules: dict[str, Any] = {str(stage): found for stage, found in definition.conditions.items()}
    plain = {stage: plain_times(definition, stage, journey) for stage in rules}
    seen = max((fact.occurred_at for fact in own), default=None)
    ends = closes(definition, journey, plain, seen) if definition.loss == "events" else {}
    found: dict[tuple[str, datetime], set[int]] = defaultdict(set)
    borders = sorted(ends)
    for group in range(len(borders) + 1):
        members: Any = [f for f in own if sum(b < f.occurred_at for b in borders) == group]
        times: dict[str, list[datetime]] = {}
        matched: dict[str, list[Said]] = {}
        for _ in STAGES:
            for stage, conditions in rules.items():
                matched[stage] = [
                    fact
                    for condition in conditions
                    for fact in in_cycle(condition, members, journey, times)
                ] + [
                    fact
                    for fact in members
                    if fact.data.type_name == "stage_entered" and fact.data.stage == stage
                ]
                times[stage] = [fact.occurred_at for fact in matched[stage]]
        for stage, facts in matched.items():
            for fact in facts:
                found[stage, fact.occurred_at].add(fact.position)
    return found


def totalled(definition: Definition, stage: str) -> bool:
    """Whether orders of a day that add up enter the stage: then each of them is named."""
    rules: dict[str, Any] = {str(name): found for name, found in definition.conditions.items()}
    return any(one.day_total is not None for one in rules[stage])


def chosen(rows: list[dict[str, Any]], columns: tuple[str, ...], place: int) -> tuple[Any, str]:
    """A figure that counts somebody, if one does; else any that is there."""
    cells = [(row, name) for row in rows for name in columns if row[name] is not None]
    some = [(row, name) for row, name in cells if row[name]]
    return (some or cells)[place % len(some or cells)]


@given(facts=logs(), asked=questions(of_funnel))
def test_the_events_named_are_those_that_the_rules_name(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """As many members as the figure says; each event counts at the cut, and did what is said."""
    memory.load(facts, asked.definition)
    cut = asked.cut(memory)
    told = {fact.position: fact for fact in asked.known(facts, cut)}
    rows = funnel(memory, cut, asked.definition, **asked.parameters).rows()
    if not rows:
        return
    row, column = chosen(rows, COUNTS, asked.figure)
    cell: dict[str, Any] = {n: row[n] for n in ("stage", "channel", "cohort") if n in row}

    found = explanation(
        memory, cut, asked.definition, view="funnel", cell=cell, column=column, **asked.parameters
    )

    members = defaultdict(list)
    for one in found.rows():
        assert one["position"] in told, "the event counts at the cut"
        assert told[one["position"]].customer == one["customer"]
        assert (one["source"], one["id"]) == ("test", str(one["position"]))
        members[one["customer"], one["cycle"]].append(one)
    assert len(members) == found.meta["members"] == row[column]
    for (customer, cycle), events in members.items():
        own = [fact for fact in told.values() if fact.customer == customer]
        now = asked.now(list(told.values()))
        (passed,) = [one for one in evaluate(asked.definition, own, now) if one.number == cycle]
        roles = defaultdict(set)
        for one in events:
            roles[one["role"]].add(one["position"])
        entered = {role for role in roles if role.startswith(f"entered {row['stage']}")}
        assert len(entered) == 1, "how each member came to be there is named"
        assert ("channel" in roles) == (row.get("channel") is not None)
        for role, positions in roles.items():
            if role == "channel":
                touches = [fact for fact in own if fact.data.type_name == "touched"]
                first = min(touches, key=lambda fact: (fact.occurred_at, fact.position))
                assert positions == {first.position}
            elif role.startswith(("entered", "reached")):
                check_entry(asked.definition, own, passed, role, positions)
            else:
                check_loss(own, passed, role, positions)


def check_entry(
    definition: Definition, own: list[Said], passed: Any, role: str, positions: set[int]
) -> None:
    """A stage is entered by the events that meet its conditions then; an order by its lines."""
    words = role.replace("(imputed from ", "").rstrip(")").split()
    into = words[-1]
    assert (len(words) == 3) == (words[1] not in passed.entries), "imputed is what was skipped"
    wanted = entering(definition, own)[into, passed.entries[into]]
    assert passed.caused_by[into] in wanted
    assert wanted <= positions
    others = [fact for fact in own if fact.position in positions - wanted]
    assert not others or totalled(definition, into)
    assert {(fact.data.type_name, fact.occurred_at.date()) for fact in others} <= {
        ("order_placed", passed.entries[into].date())
    }


def check_loss(own: list[Said], passed: Any, role: str, positions: set[int]) -> None:
    """A loss is made by what its role says; silence by the last of all events."""
    facts = [fact for fact in own if fact.position in positions]
    if role == "last heard of, lost by silence":
        assert passed.lost_at is None
        last = max(fact.occurred_at for fact in own)
        assert positions == {fact.position for fact in own if fact.occurred_at == last}
        return
    assert {fact.data.type_name for fact in facts} <= CLOSING[role]
    assert passed.lost_side == ("left" if role == "disqualified" else "right")
    if role == "disqualified":
        assert {fact.occurred_at for fact in facts} == {passed.lost_at}


of_stock = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["customer", "cycle"]),
        "lost_after": st.sampled_from([None, "10d"]),
    }
)


@given(facts=logs(), asked=questions(of_stock))
def test_the_stock_names_whom_it_counts(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """Where each stands, by the entry of that stage, by the loss, or by nothing that entered."""
    memory.load(facts, asked.definition)
    cut = asked.cut(memory)
    known = asked.known(facts, cut)
    rows = stock(memory, cut, asked.definition, **asked.parameters).rows()
    row, column = chosen(rows, (asked.parameters["unit"] + "s",), asked.figure)
    cell = {"stage": row["stage"]}

    found = explanation(
        memory, cut, asked.definition, view="stock", cell=cell, column=column, **asked.parameters
    )

    assert len({(one["customer"], one["cycle"]) for one in found}) == row[column]
    for one in found:
        (fact,) = [fact for fact in known if fact.position == one["position"]]
        assert fact.customer == one["customer"]
        if row["stage"] == "lost":
            assert one["role"] in {*CLOSING, "last heard of, lost by silence"}
        elif row["stage"] not in STAGES:
            assert one["role"] == "last heard of, in no stage"
        else:
            assert one["role"] == f"entered {row['stage']}"
            own = [other for other in known if other.customer == fact.customer]
            causes = entering(asked.definition, own).items()
            named = {p for (stage, _), caused in causes for p in caused if stage == row["stage"]}
            assert one["position"] in named or totalled(asked.definition, row["stage"])
