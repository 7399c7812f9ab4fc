"""From a document to a profile: everything in it is checked, and an error names the line."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from bowtie.errors import BowtieError, DefinitionError
from bowtie.policies import Policy, load_policy
from bowtie.profiles.profile import Exclusion, Profile, Wanted, weight_of
from bowtie.stages.document import Document as Toml
from bowtie.stages.fields import decimal_of, value_of
from bowtie.stages.lines import Path

__all__ = ["PolicyOf", "content_of", "read_content", "read_profile"]

#: Finds the value policy of a name.
PolicyOf = Callable[[str], Policy]

_KEYS = (
    "name", "version", "title", "starts_on", "ends_on", "prospects", "traits", "exclusions",
    "least", "policy", "horizon", "value", "holdout", "by", "salt", "evidence", "detectable",
)  # fmt: skip
_EVIDENCE = (
    "verdict", "customers", "high", "high_rate", "lift", "lift_low", "lift_high", "q", "replicated",
    "reason",
)  # fmt: skip
_OF_TOUCHES = ("channel", "campaign")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_ADVICE = 'write text in quotes, a trait as [[traits]], key = "value" on one line'
_YEAR = timedelta(days=364)
#: The day after it, and the end of a horizon that begins on it, are still days.
_LAST = date(9000, 12, 31)


def read_profile(name: str, text: str, policy_of: PolicyOf) -> Profile:
    """The profile that a text describes: TOML as one writes it, or JSON as it was published.

    Args:
        name: the file or document, for messages.
        text: the document.
        policy_of: the value policy of a name, for a document that names one.

    Raises:
        DefinitionError: something in it is wrong; the message names the line of TOML.
    """
    toml = _document(name, text)
    found = _Reader(toml, policy_of).profile()
    if toml.text:
        return found
    # what was published stands for itself, however it was written
    return replace(found, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())


def content_of(name: str, text: str) -> dict[str, Any]:
    """The keys that a text holds, unchecked.

    Raises:
        DefinitionError: it is no TOML or JSON.
    """
    return _document(name, text).content


def _document(name: str, text: str) -> Toml:
    """A text of either kind; one of JSON has no lines."""
    if not text.lstrip().startswith("{"):
        return Toml(name, text, advice=_ADVICE)
    try:
        content = json.loads(text, object_pairs_hook=_once)
        # it goes into the log as JSON: no number that JSON lacks, no half of a character
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise DefinitionError(name, f"not valid JSON: {error}") from None
    return Toml.of(name, content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some pairs, as TOML has it: no key stands there twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'the key "{key}" stands there twice')
        found[key] = value
    return found


def read_content(content: Mapping[str, Any], policy_of: PolicyOf) -> Profile:
    """The profile that a dictionary describes, with the keys of a document.

    Raises:
        DefinitionError: something in it is wrong.
    """
    return _Reader(Toml.of(str(content.get("name", "profile")), content), policy_of).profile()


class _Reader:
    """One document on its way to a profile."""

    def __init__(self, toml: Toml, policy_of: PolicyOf) -> None:
        self.toml, self.content, self.policy_of = toml, toml.content, policy_of

    def profile(self) -> Profile:
        """The whole document."""
        content, toml = self.content, self.toml
        toml.known_keys((), content, _KEYS)
        name, version = self._head()
        starts_on, ends_on = self._days()
        policy, published = self._policy(name)
        traits = tuple(self._wanted(n, one) for n, one in enumerate(self._tables("traits")))
        if not any(one.weight > 0 for one in traits):
            toml.fail(("traits",), "nothing speaks for a prospect: write a [[traits]] table")
        exclusions = tuple(
            self._exclusion(n, one) for n, one in enumerate(self._tables("exclusions"))
        )
        self._check_twice(traits, exclusions)
        prospects = toml.choice(("prospects",), content.get("prospects", "new"), ("new", "open"))
        by = self._text("by")
        if by in _OF_TOUCHES:
            toml.fail(("by",), f"{by} is of a touch, not of a market: name a trait")
        found = Profile(
            name, version, self._text("title") or "", starts_on, ends_on, prospects, traits,
            exclusions, self._number(("least",), content.get("least", 0)), policy, published,
            self._holdout(), by, self._text("salt") or f"{name}/{version}",
            self._table("evidence"), self._table("detectable"),
        )  # fmt: skip
        body = found.body()
        return replace(found, text=body, sha256=hashlib.sha256(body.encode()).hexdigest())

    def _head(self) -> tuple[str, int]:
        name, version = self.content.get("name"), self.content.get("version")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.toml.fail(
                ("name",),
                'a profile has a name of small letters, digits, - and _: write name = "lookalike"',
            )
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self.toml.fail(
                ("version",), "a profile has a version, a whole number from 1: write version = 1"
            )
        return name, version

    def _days(self) -> tuple[date, date]:
        starts_on = self._day("starts_on")
        if starts_on is None:
            self.toml.fail(
                ("starts_on",),
                "a profile says from when on prospects are assigned: write starts_on = 2026-01-01",
            )
        ends_on = self._day("ends_on") or min(starts_on, _LAST - _YEAR) + _YEAR
        if ends_on < starts_on:
            self.toml.fail(("ends_on",), "ends_on lies before starts_on")
        return starts_on, ends_on

    def _day(self, key: str) -> date | None:
        given = self.content.get(key)
        if given is None:
            return None
        try:
            day = value_of(given, "day", key, ())
        except ValueError as error:
            self.toml.fail((key,), str(error))
        if not isinstance(day, date) or day > _LAST:
            self.toml.fail((key,), f'"{key}" lies too far ahead: it is {_LAST} at the latest')
        return day

    def _holdout(self) -> Decimal:
        if self.content.get("holdout") is None:
            self.toml.fail(
                ("holdout",),
                "a profile says which share of those who fit is held out, or nobody will ever know"
                ' what it does: write holdout = "0.2"',
            )
        holdout = self._number(("holdout",), self.content["holdout"])
        if not Decimal("0.01") <= holdout <= Decimal("0.99"):
            self.toml.fail(
                ("holdout",), '"holdout" is a share from 0.01 to 0.99: write holdout = "0.2"'
            )
        return holdout

    def _policy(self, name: str) -> tuple[Policy, bool]:
        given = self.content.get("policy")
        if given is None:
            return self._own_policy(name), False
        if "horizon" in self.content or "value" in self.content:
            self.toml.fail(("policy",), "the policy says horizon and value: leave them out")
        if isinstance(given, Mapping):
            return self._policy_of_text(given), given.get("name") is not None
        if not isinstance(given, str):
            self.toml.fail(("policy",), 'a policy is named: write policy = "worth/1"')
        try:
            return self._realised(self.policy_of(given)), True
        except DefinitionError:
            raise
        except BowtieError as error:
            self.toml.fail(("policy",), str(error))

    def _own_policy(self, name: str) -> Policy:
        """Of horizon and value alone."""
        said = {"horizon": self.content.get("horizon", "365d"),
                "value": self.content.get("value", "revenue")}  # fmt: skip
        for key, value in said.items():
            if not isinstance(value, str):
                example = "365d" if key == "horizon" else "revenue"
                self.toml.fail((key,), f'"{key}" is a text: write {key} = "{example}"')
        keys = {"name": name, "version": 1, **said}
        try:
            return load_policy("".join(f"{key} = {json.dumps(one)}\n" for key, one in keys.items()))
        except DefinitionError as error:
            wrong = "value" if error.line == len(keys) else "horizon"
            self.toml.fail((wrong,), error.problem)

    def _policy_of_text(self, given: Mapping[str, Any]) -> Policy:
        """As it stands in a profile that was published."""
        text = given.get("text")
        if not isinstance(text, str) or "\n" not in text:
            self.toml.fail(
                ("policy",),
                'a policy is named: write policy = "worth/1"; as a table it has its text',
            )
        try:
            return self._realised(load_policy(text))
        except DefinitionError as error:
            self.toml.fail(("policy",), f"its text: {error.problem}")

    def _realised(self, policy: Policy) -> Policy:
        if getattr(policy, "basis", "realised") != "realised":
            self.toml.fail(
                ("policy",),
                f"{policy.label} predicts value: arms are judged by what came, so name a policy"
                " whose value is realised",
            )
        return policy

    def _tables(self, key: str) -> list[dict[str, Any]]:
        given = self.content.get(key, [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self.toml.fail((key,), f"{key} are tables: write each as [[{key}]]")
        return given

    def _wanted(self, number: int, given: dict[str, Any]) -> Wanted:
        path: Path = ("traits", number)
        self.toml.known_keys(path, given, ("trait", "level", "weight", *_EVIDENCE))
        trait, level = self._level(path, given)
        evidence = {
            key: self._kept((*path, key), value) for key, value in given.items() if key in _EVIDENCE
        }
        if "weight" in given:
            weight = self._number((*path, "weight"), given["weight"])
            if not weight or weight != round(weight, 3) or abs(weight) > 5:
                self.toml.fail(
                    (*path, "weight"),
                    '"weight" is over 0 (for) or under 0 (against), from -5 to 5, with at most'
                    ' three decimals: write weight = "1"',
                )
        elif "lift" in given:
            lift = self._number((*path, "lift"), given["lift"])
            weight = weight_of(float(lift))
            if lift < 0 or not weight:
                self.toml.fail(
                    (*path, "lift"),
                    '"lift" is over 1 (for) or from 0 to under 1 (against), and 1 says nothing:'
                    ' write lift = "2"',
                )
        else:
            weight = Decimal(1)
        return Wanted(trait, level, weight, evidence)

    def _exclusion(self, number: int, given: dict[str, Any]) -> Exclusion:
        path: Path = ("exclusions", number)
        self.toml.known_keys(path, given, ("trait", "level", "reason"))
        trait, level = self._level(path, given)
        reason = given.get("reason", "")
        if not isinstance(reason, str):
            self.toml.fail((*path, "reason"), '"reason" is a text')
        return Exclusion(trait, level, reason)

    def _level(self, path: Path, given: dict[str, Any]) -> tuple[str, str]:
        trait, level = given.get("trait"), given.get("level")
        if not isinstance(trait, str) or not trait.strip():
            self.toml.fail((*path, "trait"), 'name a trait: write trait = "industry"')
        if isinstance(level, bool):
            level = "true" if level else "false"
        if isinstance(level, int | Decimal):
            level = str(level)
        if not isinstance(level, str):
            self.toml.fail(
                (*path, "level"),
                f'name a level of {trait}: write level = "rail", or "(missing)" where it is not'
                " known",
            )
        return trait, level

    def _check_twice(self, traits: tuple[Wanted, ...], exclusions: tuple[Exclusion, ...]) -> None:
        for key, tables in (("traits", traits), ("exclusions", exclusions)):
            levels = [(one.trait, one.level) for one in tables]
            for n, level in enumerate(levels):
                if level in levels[:n]:
                    self.toml.fail((key, n), f"{level[0]} = {level[1]} stands there twice")

    def _text(self, key: str) -> str | None:
        given = self.content.get(key)
        if given is not None and (not isinstance(given, str) or (key != "title" and not given)):
            self.toml.fail((key,), f'"{key}" is a text: write {key} = "..."')
        return given

    def _table(self, key: str) -> Mapping[str, Any] | None:
        given = self.content.get(key)
        if given is not None and not isinstance(given, Mapping):
            self.toml.fail((key,), f'"{key}" is a table: write [{key}]')
        return None if given is None else self._kept((key,), given)

    def _kept(self, path: Path, value: Any) -> Any:
        """What JSON holds, of what TOML does."""
        if isinstance(value, Mapping):
            return {str(key): self._kept((*path, key), inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._kept((*path, n), inner) for n, inner in enumerate(value)]
        if isinstance(value, Decimal):
            if not math.isfinite(value):
                self.toml.fail(path, f'"{path[-1]}" is a number, or left out where there is none')
            return float(value)
        return value if value is None or isinstance(value, str | int | bool) else str(value)

    def _number(self, path: Path, given: object) -> Decimal:
        try:
            return decimal_of(given, str(path[-1]))
        except ValueError as error:
            self.toml.fail(path, str(error))
