"""What any view can be narrowed to, and what its answer must then say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from bowtie.errors import DefinitionError, UsageError
from bowtie.policies import Policy, load_policy
from bowtie.segments import Segment, load_segment, segment_where
from bowtie.segments.segment import Came, Has, Neither, Test, leaves
from bowtie.stages import Comparison, Definition
from bowtie.times import iso, moment, zone
from bowtie_projections import tables
from bowtie_projections.judging import OF_TRIALS, entry_named, judged_at
from bowtie_projections.published import published
from bowtie_projections.results import Result
from bowtie_projections.scope import TOUCH_RULES, Outside, Scope, Scoped, both
from bowtie_projections.segments import Judging
from bowtie_projections.views.breakdown import SEGMENT, TOUCH, check_traits
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut, Reader, counts, utc
from bowtie_projections.views.units import plural

__all__ = ["NARROWED", "Asking", "Narrowing"]

#: The parameters of every view that narrow it, or say how it reads touches.
NARROWED = ("segment", "where", "segment_as_of", "touch")
#: Views of a moment: no entry comes before the moment at which a segment is judged.
_OF_A_MOMENT = {"stock", "pipeline", "trial", "comparison", "segment", "members"}
#: Views whose breakdown reads touches in a way of its own.
_OF_TOUCHES = {"attribution", *OF_TRIALS}
_SHOWN = 8
_RULES = {
    "first": "the first touch ever, where it was by then",
    "last": "the last touch by then",
    "step": "the touch that entered the stage, where one did",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a question is asked.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        personal_names: traits that are sealed.
    """

    reader: Reader
    cut: Cut
    definition: Definition
    personal_names: Collection[str]

    def segment(self, source: Any) -> Segment:
        """The segment that a name, a file, a text or a dictionary names, as the cut knows of it.

        A name with its version is one text for ever, whenever it was published.

        Raises:
            UnknownName: there is none.
            DefinitionError: it is wrong, or the log has another text of its name and version.
        """
        everything = published(self.reader, "segment", self.cut, later=True)
        known = everything
        if isinstance(source, str) and "/" not in source:
            known = published(self.reader, "segment", self.cut)
        found = load_segment(source, self.personal_names, known)
        if found.text and everything.get(found.label, found.text) != found.text:
            raise DefinitionError(
                found.label,
                "the log has another segment of that name and version: give this one a higher"
                " version",
            )
        return found

    def policy(self, source: Any) -> Policy:
        """The value policy that a name, a file or a text names, as the cut knows of it.

        Raises:
            UnknownName: there is none.
            DefinitionError: it is wrong, or the log has another text of its name and version.
        """
        everything = published(self.reader, "policy", self.cut, later=True)
        known = everything
        if isinstance(source, str) and "/" not in source:
            known = published(self.reader, "policy", self.cut)
        found = load_policy(source, known)
        if everything.get(found.label, found.text) != found.text:
            raise DefinitionError(
                found.label,
                "the log has another policy of that name and version: give this one a higher"
                " version",
            )
        return found


@dataclass(slots=True)
class Narrowing:
    """What one question is narrowed to.

    Args:
        view: the view that is asked.
        scope: what it is narrowed to.
        asked: the parameters that say so, as they were given.
        parameters: those of the view itself.
        named: the segments that breakdowns name.
    """

    view: Callable[..., Result]
    scope: Scope
    asked: Mapping[str, Any]
    parameters: Mapping[str, Any]
    named: dict[str, Segment]

    @classmethod
    def of(cls, view: Callable[..., Result], asked: Mapping[str, Any], asking: Asking) -> Narrowing:
        """What a view is narrowed to, from all that it was asked.

        Raises:
            UsageError: a value that can't be asked.
            UnknownName: there is no such segment, or nobody has such a trait.
        """
        own = {name: asked[name] for name in NARROWED if asked.get(name) not in (None, (), [])}
        others = {name: value for name, value in asked.items() if name not in NARROWED}
        segments = [asking.segment(own["segment"])] if "segment" in own else []
        if "where" in own:
            segments.append(_ad_hoc(own["where"], asking))
        named: dict[str, Segment] = {}

        def find(source: Any) -> Segment:
            found = named[str(source)] = asking.segment(source)
            return found

        as_of, entry = own.get("segment_as_of"), None
        if as_of is not None and not segments and not _names_segments(others):
            raise UsageError("segment_as_of says when a segment is judged: name one with segment=")
        if as_of is not None or segments:
            named_at = judged_at(view, as_of, others, asking.definition)
            entry = entry_named(named_at, others, asking.reader, asking.cut)
            if entry is None and as_of is not None:
                here = zone(asked.get("tz") or "UTC")
                as_of = moment(as_of, end_of_day=True, tz=here)
        scope = Scope(
            asking.definition,
            both(segments),
            None if entry else as_of,
            entry,
            _rule(view, own),
            find,
        )
        return cls(view, scope, own, others, named)

    def reading(self, reader: Reader) -> Reader:
        """The read tables, as the view is to have them."""
        if not self.asked and not _names(self.parameters):
            return reader
        return Scoped(reader, self.scope)

    def told(self, result: Result) -> None:
        """Say in the answer what it is narrowed to, and what that means."""
        scope, outside = self.scope, self.scope.outside
        if scope.segment is not None:
            if outside is None:
                raise UsageError(f"{self.view.__name__} counts no units: it takes no segment")
            if self.view.__name__ != "segment":  # which says nothing else
                said = _sentence(scope.segment, outside)
                result.sentence = f"{result.sentence} {said}".strip()
            result.meta["segment"] = _meta(scope.segment, outside)
            if not outside.inside and outside.everybody:
                result.notes += _why_nobody(scope.segment.test, outside.judging)
        result.notes += self._notes()
        if self.asked:
            shown = result.meta.setdefault("parameters", {})
            shown |= {name: _written(value) for name, value in self.asked.items()}

    def _notes(self) -> list[str]:
        notes, scope = [], self.scope
        used = [*([scope.segment] if scope.segment else []), *self.named.values()]
        notes += [f"Segment {one.label}: {one.test}." for one in used if one.version is not None]
        if used and self._looks_ahead([one.test for one in used]):
            notes.append(
                "The segment looks at facts after the entries counted here: who is in it may be so"
                " because of what came later (customers of high revenue have all bought). To look"
                " at the past alone, ask with segment_as_of=DATE and entries from that day on."
            )
        touches = [name for name in _names(self.parameters) if name in TOUCH]
        if touches and self.view.__name__ not in _OF_TOUCHES:
            said = f"{', '.join(touches)}: of {_RULES[scope.touch]}"
            others = [f"touch={rule}" for rule in TOUCH_RULES if rule != scope.touch]
            notes.append(f"{said} ({' or '.join(others)} asks otherwise).")
        return notes

    def _looks_ahead(self, tests: Sequence[Test]) -> bool:
        """Whether a segment may be of customers whose entries came before the facts it is of."""
        if self.view.__name__ in _OF_A_MOMENT or self.scope.entry is not None:
            return False
        if all(isinstance(leaf, Came) for test in tests for leaf in leaves(test)):
            return False  # a first touch is the beginning
        start = self.parameters.get("from_")
        if self.scope.as_of is None or start is None:
            return True
        return period(start, self.parameters.get("tz") or "UTC")[0] < utc(self.scope.as_of)


def _ad_hoc(where: Any, asking: Asking) -> Segment:
    """The segment of tests that were typed; a trait that nobody has is mistyped."""
    found = segment_where(where, asking.personal_names)
    traits = [one for one in leaves(found.test) if isinstance(one, Has)]
    check_traits(asking.reader, asking.cut, [each.key for one in traits for each in one.where])
    return found


def _names(parameters: Mapping[str, Any]) -> list[str]:
    by = parameters.get("by") or ()
    return [by] if isinstance(by, str) else [str(name) for name in by]


def _names_segments(parameters: Mapping[str, Any]) -> bool:
    return any(name.startswith(SEGMENT) for name in _names(parameters))


def _rule(view: Callable[..., Result], own: Mapping[str, Any]) -> str:
    rule = own.get("touch", TOUCH_RULES[0])
    if rule not in TOUCH_RULES:
        raise UsageError(f"touch is {rule!r}; write {', '.join(TOUCH_RULES[:-1])} or step")
    if "touch" not in own:
        return str(rule)
    parameters = inspect.signature(view).parameters.values()
    broken_down = any(one.name == "by" or one.kind is one.VAR_KEYWORD for one in parameters)
    if not broken_down or view.__name__ in _OF_TOUCHES:
        raise UsageError(f"{view.__name__} has no parameter 'touch'")
    if rule == "step" and view.__name__ in _OF_A_MOMENT:
        raise UsageError(
            f"{view.__name__} is asked of a moment, at which no touch enters a stage: ask with"
            " touch=first or touch=last"
        )
    return str(rule)


def _sentence(segment: Segment, outside: Outside) -> str:
    left = outside.everybody - outside.inside
    units = "customers" if outside.unit == "cycle" else plural(outside.unit)
    when = "" if outside.moment is None else f", as of {outside.moment:%Y-%m-%d}"
    if outside.entry is not None:
        when = f", as of each one's {outside.entry.said}"
    return (
        f"Only those in the segment {segment.label}{when}: {outside.inside:,} of"
        f" {outside.everybody:,} {units}; {left:,} {'is' if left == 1 else 'are'} outside."
    )


def _meta(segment: Segment, outside: Outside) -> dict[str, Any]:
    at = outside.moment
    return {
        "name": segment.label,
        "test": str(segment.test),
        "sha256": segment.sha256 or None,
        "as_of": None if at is None else iso(at.replace(tzinfo=UTC)),
        "entry": None if outside.entry is None else outside.entry.name,
        "inside": outside.inside,
        "outside": outside.everybody - outside.inside,
    }


def _written(value: Any) -> Any:
    """A parameter as it stands in the answer."""
    if isinstance(value, Segment):
        return value.label
    if isinstance(value, str | Mapping):
        return value
    return [*value] if isinstance(value, Sequence) else str(value)


def _why_nobody(test: Test, judging: Judging) -> list[str]:
    """Which tests nobody meets, with the values that come near those asked for."""
    alone = [one for one in _wanted(test) if not _number(one, judging)]
    if not alone:
        return ["Nobody is in the segment: each of its tests is met by someone, all by no one."]
    return [f"Nobody is in the segment: nobody has {one}.{_near(one, judging)}" for one in alone]


def _wanted(test: Test) -> list[Any]:
    """The tests that must hold, or may."""
    if isinstance(test, Neither):
        return []
    parts = getattr(test, "parts", None)
    return [test] if parts is None else [leaf for part in parts for leaf in _wanted(part)]


def _number(test: Test, judging: Judging) -> int:
    found = judging.members(test).subquery("met")
    number = sa.select(sa.func.count()).select_from(found)
    return int(judging.reader.fetch(number).column(0)[0].as_py())


def _near(test: Any, judging: Judging) -> str:
    """What else there is of a value that nobody has."""
    if not isinstance(test, Has | Came):
        return ""
    for one in test.where:
        known = _values(one, judging)
        missing = [str(value) for value in one.values if str(value) not in known]
        if one.op != "in" or not missing:
            continue
        name = one.key or one.field
        if not known:
            return f" {name} has no value by then."
        near = get_close_matches(missing[0], known, n=3, cutoff=0.5)
        if near:
            return f" Did you mean {name} {' or '.join(near)}?"
        more = ", ..." if len(known) > _SHOWN else ""
        return f" There are for {name}: {', '.join(known[:_SHOWN])}{more}."
    return ""


def _values(comparison: Comparison, judging: Judging) -> list[str]:
    """The values of a trait or of a field of touches, the most frequent first."""
    table = tables.facts["traits_observed" if comparison.kind == "map" else "touched"]
    of_trait = comparison.kind == "map"
    value = table.c.value if of_trait else table.c[comparison.field]
    own = table.c.name == comparison.key if of_trait else sa.true()
    found = judging.reader.fetch(
        sa.select(value.label("value"))
        .where(counts(table, judging.cut), own, value.is_not(None))
        .group_by(value)
        .order_by(sa.func.count().desc(), value)
        .limit(1000)
    )
    return [str(one) for one in found.column(0).to_pylist()]
