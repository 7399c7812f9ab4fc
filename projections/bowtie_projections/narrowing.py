"""What any view can be narrowed to, and what its answer must then say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bowtie.errors import UsageError
from bowtie.segments import Segment, segment_where
from bowtie.segments.segment import Came, Has, Test, leaves
from bowtie.times import moment, zone
from bowtie_projections.asking import Asking
from bowtie_projections.judging import OF_TRIALS, entry_named, judged_at
from bowtie_projections.narrowed import meta_of, sentence_of, why_nobody, written
from bowtie_projections.results import Result
from bowtie_projections.scope import TOUCH_RULES, Scope, Scoped, both
from bowtie_projections.views.breakdown import SEGMENT, TOUCH, check_traits
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Reader, utc

__all__ = ["NARROWED", "Narrowing"]

#: The parameters of every view that narrow it, or say how it reads touches.
NARROWED = ("segment", "where", "segment_as_of", "touch")
#: Views of a moment: no entry comes before the moment at which a segment is judged.
_OF_A_MOMENT = {"stock", "pipeline", "trial", "comparison", "segment", "members"}
#: Views whose breakdown reads touches in a way of its own.
_OF_TOUCHES = {"attribution", *OF_TRIALS}
_RULES = {
    "first": "the first touch ever, where it was by then",
    "last": "the last touch by then",
    "step": "the touch that entered the stage, where one did",
}


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
                said = sentence_of(scope.segment, outside)
                result.sentence = f"{result.sentence} {said}".strip()
            result.meta["segment"] = meta_of(scope.segment, outside)
            if not outside.inside and outside.everybody:
                result.notes += why_nobody(scope.segment.test, outside.judging)
        result.notes += self._notes()
        if self.asked:
            shown = result.meta.setdefault("parameters", {})
            shown |= {name: written(value) for name, value in self.asked.items()}

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
