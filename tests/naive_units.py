"""Whose facts are whose, read in plain Python: links, memberships, opportunities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.naive_stages import names
from tests.read_tables import Said, counted

LOOK_BACK = timedelta(days=90)


def owners(facts: Iterable[Said]) -> dict[str, str]:
    """Whose each alias is, by the links among facts that count."""
    found: dict[str, str] = {}
    for fact in sorted(facts, key=lambda one: one.position):
        kind = fact.data.type_name
        if kind == "identity_linked":
            found[fact.data.alias] = fact.customer  # type: ignore[attr-defined]
        elif kind == "identity_unlinked" and found.get(fact.data.alias) == fact.customer:  # type: ignore[attr-defined]
            del found[fact.data.alias]  # type: ignore[attr-defined]
    return found


def root(key: str, found: dict[str, str]) -> str:
    """The key above all others."""
    while key in found:
        key = found[key]
    return key


def possible(said: Iterable[Said]) -> list[Said]:
    """The facts without links that the engine would have refused."""
    kept: list[Said] = []
    for fact in said:
        if fact.data.type_name == "identity_linked":
            standing = owners(counted(kept, fact.position))
            alias = fact.data.alias  # type: ignore[attr-defined]
            if standing.get(alias, fact.customer) != fact.customer:
                continue
            if root(fact.customer, standing) == alias or alias in _above(fact.customer, standing):
                continue
        kept.append(fact)
    return kept


def _above(key: str, found: dict[str, str]) -> list[str]:
    above = [key]
    while above[-1] in found:
        above.append(found[above[-1]])
    return above


def of_customers(facts: list[Said], position: int) -> list[Said]:
    """The facts that count, each under the root of its key."""
    known = counted(facts, position)
    found = owners(known)
    return [replace(fact, customer=root(fact.customer, found)) for fact in known]


def of_accounts(
    facts: list[Said], position: int, then: datetime | None, look_back: timedelta = LOOK_BACK
) -> list[Said]:
    """The facts of accounts; one that counts for two is there twice."""
    found = owners(counted(facts, position))
    known = [f for f in of_customers(facts, position) if then is None or f.occurred_at <= then]
    words: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for fact in sorted(known, key=lambda one: (one.occurred_at, one.position)):
        if fact.data.type_name in {"membership_started", "membership_ended"}:
            account = root(fact.data.account, found)  # type: ignore[attr-defined]
            words[fact.customer, account].append(fact)
    spans: dict[str, dict[str, list[tuple[datetime, datetime | None]]]] = defaultdict(dict)
    for (person, account), said in words.items():
        ends: list[Any] = [*(one.occurred_at for one in said[1:]), None]
        own = [
            (one.occurred_at, end)
            for one, end in zip(said, ends, strict=True)
            if one.data.type_name == "membership_started"
        ]
        if own:
            spans[person][account] = own
    moved = []
    for fact in known:
        if fact.customer not in spans:
            moved.append(fact)
            continue
        early = look_back if fact.data.type_name == "touched" else timedelta(0)
        for account, own in spans[fact.customer].items():
            if any(
                since - early <= fact.occurred_at and (until is None or fact.occurred_at < until)
                for since, until in own
            ):
                moved.append(replace(fact, customer=account))
    return moved


def of_opportunities(
    facts: list[Said], position: int, then: datetime | None, look_back: timedelta = LOOK_BACK
) -> list[Said]:
    """The facts of opportunities; one that counts for two is there twice."""
    known = of_accounts(facts, position, then, look_back)
    opened: dict[tuple[str, str], datetime] = {}
    signed: dict[tuple[str, str], str] = {}
    for fact in known:
        name = names(fact)
        if name:
            key = fact.customer, name
            opened[key] = min(opened.get(key, fact.occurred_at), fact.occurred_at)
            if fact.data.type_name == "contract_signed":
                contract = fact.customer, fact.data.contract  # type: ignore[attr-defined]
                signed[contract] = min(signed.get(contract, name), name)
    moved = []
    for fact in known:
        name = names(fact) or signed.get((fact.customer, getattr(fact.data, "contract", "")))
        kind = fact.data.type_name
        bare = kind == "disqualified" and not name
        for (customer, opportunity), at in opened.items():
            if customer == fact.customer and (
                name == opportunity
                or kind == "traits_observed"
                or (bare and at <= fact.occurred_at)
            ):
                moved.append(replace(fact, customer=f"{customer}\x1f{opportunity}"))
    return moved
