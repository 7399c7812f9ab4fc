"""Retention: who is still active at each age, by the cohort they were acquired in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cohorts import PERIODS
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.given import currency_among, currency_code
from bowtie_projections.views.retention.activity import active_as
from bowtie_projections.views.retention.ages import AGES, MOST
from bowtie_projections.views.retention.population import Acquired
from bowtie_projections.views.retention.table import WIDE, Triangle
from bowtie_projections.views.shares import standing
from bowtie_projections.views.units import check_unit, plural

__all__ = ["acquired_of", "retention"]

_UNITS = ("customer", "account", "opportunity")


def retention(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    active: str | None = None,
    age: str = "month",
    ages: int | None = None,
    cohort: str = "month",
    currency: str | None = None,
    wide: str | None = None,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    from_: Any = None,
    to: Any = None,
    top: int = 10,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """Who is still active at each age, by the cohort they committed in.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the commitment is.
        active: ``contract``: a paid contract is in force on the first day of the age; ``order``,
            ``usage``, ``usage:METRIC``, ``any``, the type of an event or the name of one that was
            noted: it happened within the age. By default contracts where any was paid, else
            orders, else anything.
        age: the length of an age: ``day``, ``week`` or ``month``.
        ages: the greatest age told; 30 days, 26 weeks or 24 months if not said.
        cohort: by commitment in each ``day``, ``week``, ``month``, ``quarter`` or ``year``.
        currency: count money of this currency only.
        wide: a row for each cohort and a column for each age instead, of ``retention``, ``active``,
            ``grr`` or ``nrr``.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at the commitment.
        from_: commitments from the start of that period on.
        to: commitments up to the end of that period, inclusive.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        data_from: where the data begins.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        personal_names: traits that are sealed.

    Returns:
        A row for each cohort and age: ``customers``, ``observed`` (those so old), ``active`` (of
        the observed), ``retention`` with its interval, null until all of the cohort are so old;
        with contracts what a month cost at the first day (``mrr_start``) and at the age (``mrr``),
        of it no more than each paid at first (``mrr_kept``), and of these ``grr`` and ``nrr``. The
        part ``curve`` has the same of all cohorts, of the ``at_risk``, who are so old.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown or an event that is not there.
        Refused: a breakdown that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    acquired, currencies = acquired_of(reader, cut, definition, asked)
    members, meant = acquired.members, acquired.active
    units, reader = members.units, members.units.reader
    counted = reader.fetch(acquired.counted()).to_pylist()
    money = meant.by_contract and (currency is not None or len(currencies) == 1)
    sums: Any = ((), ())
    if units.clustered:
        sums = tuple(
            reader.fetch(acquired.spread(keys)).to_pylist()
            for keys in (members.key_names, acquired.cells)
        )
    triangle = Triangle(acquired, counted, money=money, sums=sums)
    committed = reader.fetch(acquired.number_committed()).column(0)[0].as_py()
    older = reader.fetch(members.totals()).to_pylist()[0]["older"]
    parameters = {**members.question.written, "active": meant.name, "ages": acquired.most}
    return Result(
        "retention",
        triangle.table(wide),
        sentence=_sentence(acquired, triangle, committed, older),
        notes=_notes(acquired, older, currencies, money=money),
        sql=reader.statements,
        meta=standing(definition, parameters, members.cut, units),
        parts={"curve": triangle.curve_table()},
    )


def acquired_of(
    reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
) -> tuple[Acquired, list[str]]:
    """Who is counted, by all parameters of :func:`retention`; and the currencies they pay in."""
    given = dict(asked)
    personal_names = given.pop("personal_names")
    age, wide, currency = given["age"], given["wide"], currency_code(given["currency"])
    _check(cohort=given["cohort"], age=age, wide=wide, ages=given["ages"])
    check_unit(given["unit"], _UNITS)
    question = replace(ask(given), cohort_stage="commitment")
    members = asked_members(reader, cut, definition, question, personal_names)
    meant = active_as(members.units.reader, members.cut, given["active"])
    if wide in {"grr", "nrr"} and not meant.by_contract:
        raise UsageError(f'wide="{wide}" is of contracts: ask with active="contract"')
    most = MOST[age] if given["ages"] is None else given["ages"]
    acquired = Acquired(members, meant, age, most, currency)
    currencies = _currencies(members.units.reader, acquired)
    return replace(acquired, only=currency_among(currency, currencies)), currencies


def _check(*, cohort: str, age: str, wide: str | None, ages: Any) -> None:
    for name, value, words in (
        ("cohort", cohort, PERIODS),
        ("age", age, AGES),
        ("wide", WIDE[0] if wide is None else wide, WIDE),
    ):
        if value not in words:
            raise UsageError(f"{name} is {value!r}; write one of {', '.join(words)}")
    if ages is not None and (isinstance(ages, bool) or not isinstance(ages, int) or ages < 0):
        raise UsageError(f"ages is {ages!r}; write a whole number from 0")


def _currencies(reader: Reader, acquired: Acquired) -> list[str]:
    """The currencies of the money that can be told."""
    if not acquired.active.by_contract:
        return []
    return [str(one) for one in reader.fetch(acquired.currencies()).column(0).to_pylist()]


def _sentence(acquired: Acquired, triangle: Triangle, committed: int, older: int) -> str:
    members, question = acquired.members, acquired.members.question
    number = triangle.customers
    sentence = f"{members.units.count(committed)} committed; active is {acquired.active.said}."
    if committed > number:
        left = committed - number
        verb = "has" if left == 1 else "have"
        sentence += (
            f" {left:,} of them {verb} no paid contract in force yet and"
            f" {'is' if left == 1 else 'are'} left out."
        )
    if triangle.last_age >= 0:
        sentence += f" An empty cell is a cohort of which not all are so old, no {_NEVER}."
    else:
        sentence += f" Nobody is a {acquired.age} old yet." if number else ""
    if older and not question.include_truncated:
        sentence += (
            f" {members.units.count(older)} may be older than the data and"
            f" {'is' if older == 1 else 'are'} left out."
        )
    return sentence


_NEVER = "loss"


def _notes(acquired: Acquired, older: int, currencies: Sequence[str], *, money: bool) -> list[str]:
    members, notes = acquired.members, []
    if members.units.clustered:
        notes.append(members.units.note)
    if acquired.active.by_contract and currencies and not money:
        notes.append(
            f"Contracts are in {' and '.join(currencies)}, which are not added up: ask with"
            f" currency={currencies[0]} for what is retained of the money."
        )
    if not acquired.active.by_contract:
        notes.append(
            f"Who is not active in one {acquired.age} may be in a later one: this is no survival."
        )
    if older and members.question.include_truncated:
        many = plural(members.units.name)
        notes.append(f"{older:,} {many} who may be older than the data are counted.")
    return [*notes, *members.folded_notes]
