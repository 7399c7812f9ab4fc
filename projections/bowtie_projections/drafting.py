"""A profile from what the closed loop found, with what it may expect: everything before publishing.

>>> from bowtie import Bowtie
>>> from bowtie_projections import Views
>>> with Bowtie.open("memory://") as engine:
...     draft = drafted(Views.open(engine), {
...         "name": "large", "version": 1, "starts_on": "2026-01-01", "holdout": "0.2",
...         "traits": [{"trait": "size", "level": "1000+"}],
...     })
...     draft.label, draft.detectable["reason"]
('large/1', 'nobody has come as a prospect yet')
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused, UsageError
from bowtie.profiles import MISSING, Profile, load_profile, profile_of, weight_of
from bowtie_projections.traits import TraitRule, read_traits
from bowtie_projections.views.labels import OTHER, unapart

if TYPE_CHECKING:
    from bowtie_projections import Result, Views

__all__ = ["drafted", "findings_again", "same_but_for_version"]

_USED = ("mark", "anti-mark")
_EVIDENCE = (
    "verdict", "customers", "high", "high_rate", "lift", "lift_low", "lift_high", "q", "replicated",
)  # fmt: skip
#: What a version has of its own, though it says the same.
_OWN = ("version", "salt", "evidence", "detectable")


def drafted(
    views: Views, content: Mapping[str, Any], *, loop: Mapping[str, Any] | None = None
) -> Profile:
    """A profile as it would be published now.

    Args:
        views: of the store, at the position that is asked of.
        content: the keys of a profile's document, as far as they are said. Without ``version`` it
            is the one after the newest; without ``starts_on`` the day after that which the loop was
            asked as of.
        loop: what the closed loop is asked, for a profile from its findings: its marks speak for a
            prospect, its anti-marks against it. A ``policy`` of the content is its policy too.

    Returns:
        The profile, with the answer that its traits are from (position, parameters and a hash, so
        that it can be asked again) and the smallest differences that it can show. One that says the
        same as the newest version is that version.

    Raises:
        Refused: the loop found no mark, or one that is no level.
        UsageError: the loop is asked for others than those of high value.
        DefinitionError: the profile is wrong.
    """
    said = dict(content)
    if loop is not None:
        said |= _found(views, said, loop)
    known = {one.label: one.body for one in views.engine.documents("profile")}
    policies = {one.label: one.body for one in views.engine.documents("policy")}
    versions = [
        load_profile(body)
        for label, body in known.items()
        if label.split("/")[0] == said.get("name")
    ]
    newest = max(versions, key=lambda one: one.version, default=None)
    if "version" not in said:
        draft = profile_of(
            said | {"version": 1 if newest is None else newest.version + 1}, policies
        )
        if newest is not None and same_but_for_version(draft, newest):
            return newest
    else:
        draft = profile_of(said, policies)
    published = next((one for one in versions if one.label == draft.label), None)
    if draft.detectable is None:
        told = _expected(views, draft) if published is None else published.detectable
        draft = replace(draft, detectable=told)
    body = draft.body()
    return replace(draft, text=body, sha256=hashlib.sha256(body.encode()).hexdigest())


def _expected(views: Views, draft: Profile) -> Mapping[str, Any]:
    """How many prospects it may expect, and what these can show."""
    told: Mapping[str, Any] = views.profile_outlook(draft).meta["detectable"]
    return told


def same_but_for_version(one: Profile, other: Profile) -> bool:
    """Whether two versions of a profile say the same of prospects."""
    first, second = (
        {key: value for key, value in profile.content().items() if key not in _OWN}
        for profile in (one, other)
    )
    for said in (first, second):
        said["traits"] = [(t["trait"], t["level"], t["weight"]) for t in said["traits"]]
    return first == second


def _found(views: Views, said: Mapping[str, Any], loop: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that the loop's findings say."""
    asked = dict(loop)
    if isinstance(said.get("policy"), str):
        asked["policy"] = said["policy"]
    if asked.get("target", "high") != "high":
        raise UsageError(
            "a profile looks for customers of high value, and the loop is asked for"
            f" {asked['target']}: its marks would speak for those to be kept away from"
        )
    result = views.loop(**asked)
    _check_levels(result, read_traits(asked.get("traits")))
    traits = [_trait(row) for row in result if row["verdict"] in _USED and _is_level(row)]
    traits = [one for one in traits if weight_of(one["lift"])]
    if not any(one["verdict"] == "mark" for one in traits):
        raise Refused(
            "the loop found no mark, so there is nothing to look for: ask it (bowtie loop) what is"
            " missing, or write a profile of your own"
        )
    own = {} if "policy" in said or "horizon" in said else _value(asked)
    starts = {}
    if "starts_on" not in said:
        starts["starts_on"] = _after(result.meta["as_of"])
    return {
        **own,
        **starts,
        "traits": _beside(traits, said.get("traits", [])),
        "evidence": _evidence(views, result, asked),
    }


def _beside(found: list[dict[str, Any]], written: Any) -> Any:
    """The traits that were found, and those of a file; what is no tables is refused later."""
    if not isinstance(written, list) or not all(isinstance(one, Mapping) for one in written):
        return written
    known = set(map(_key, found))
    return [*found, *(one for one in written if _key(one) not in known)]


def _check_levels(result: Result, rules: Mapping[str, TraitRule]) -> None:
    """Refuse findings about numbers that were cut into bins: no prospect has such a level."""
    for row in result:
        rule = rules.get(row["trait"])
        if row["verdict"] in _USED and rule is not None and rule.is_numeric:
            raise Refused(
                f"{row['trait']} {row['level']} is a {row['verdict']}, and of numbers that the loop"
                " cut: a profile holds levels that a prospect has. Ask without bins and split in"
                " the traits file, or record the bin as a trait of its own"
            )


def _after(as_of: datetime) -> date:
    return as_of.date() + timedelta(days=1)


def _value(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(asked[key]) for key in ("horizon", "value") if asked.get(key) is not None}


def _key(trait: Mapping[str, Any]) -> tuple[str, str]:
    return str(trait.get("trait")), str(trait.get("level"))


def _is_level(row: Mapping[str, Any]) -> bool:
    """Whether a row is of a single level, which a prospect has or hasn't."""
    return row["level"] is not None and row["level"] != OTHER


def _trait(row: Mapping[str, Any]) -> dict[str, Any]:
    level = row["level"]
    own = level if level == MISSING else unapart(level, [OTHER, MISSING])
    evidence = {key: row[key] for key in _EVIDENCE}
    rounded = {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in evidence.items()
    }
    weight = weight_of(row["lift"])
    return {"trait": row["trait"], "level": own, "weight": str(weight), **rounded}


def _evidence(views: Views, result: Result, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Of which answer the traits are, and what it takes to ask for it again."""
    told = result.to_dict()
    again = {key: _text(key, value) for key, value in asked.items() if key not in _WHERE}
    return {
        "view": "loop",
        "store_id": views.engine.store.store_id,
        **{key: told[key] for key in ("position", "as_of", "definition")},
        "asked": again,
        "mature": told["mature"],
        "high": told["high"],
        "threshold": told["threshold"],
        "currency": told["currency"],
        "tests": told["tests"],
        "hash": _hash(result),
    }


_WHERE = ("as_of", "known_at", "position", "definition")


def _text(key: str, value: Any) -> Any:
    """A parameter as JSON holds it; a traits file by its text, for files change."""
    if key == "traits" and isinstance(value, (str, Path)) and "\n" not in str(value):
        return Path(value).read_text("utf-8")
    return value if value is None or isinstance(value, str | int | bool | Mapping) else str(value)


def _hash(result: Result) -> str:
    """Of what the loop counted and said, which is the same in every database."""
    rows: Sequence[Any] = [
        [row["trait"], row["level"], row["customers"], row["high"], row["verdict"]]
        for row in result
    ]
    text = json.dumps(sorted(rows, key=json.dumps), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def findings_again(views: Views, profile: Profile) -> bool | None:
    """Whether the loop, asked again as it was, says what stands in the profile.

    Returns:
        None where the profile is not from the loop, or from that of another store.
    """
    evidence = profile.evidence
    if evidence is None or evidence.get("store_id") != views.engine.store.store_id:
        return None
    where = {key: evidence[key] for key in ("position", "as_of", "definition")}
    return bool(_hash(views.loop(**evidence["asked"], **where)) == evidence["hash"])
