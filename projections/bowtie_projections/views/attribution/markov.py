"""Removal effects of a Markov chain over the sources of paths.

The chain goes from source to source as often as the paths did, to one of two ends: a commitment or
none. The effect of removing a source is the share of commitments that would be lost if whoever
comes to it went no further (Anderl, Becker, von Wangenheim and Schumann 2016). Chains of higher
order remember as many sources as their order says. Probabilities are solved, not simulated.

>>> steps = {(START, "ga"): 4, ("ga", CONVERSION): 2, ("ga", NULL): 1, ("ga", "mail"): 1,
...          (START, "mail"): 1, ("mail", CONVERSION): 2}
>>> base, effects = removal_effects({((before,), after): n for (before, after), n in steps.items()})
>>> base, {source: round(effect, 6) for source, effect in effects.items()}
(0.8, {'ga': 0.75, 'mail': 0.5})
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

__all__ = ["CONVERSION", "NULL", "START", "State", "removal_effects"]

#: Where a path begins, and its two ends; no source is called so.
START, CONVERSION, NULL = "\x01start", "\x01conversion", "\x01null"
State = tuple[str, ...]


def removal_effects(steps: Mapping[tuple[State, str], int]) -> tuple[float, dict[str, float]]:
    """The share of paths that end in a commitment, and the effect of removing each source.

    Args:
        steps: how often a source or end came after the sources before it (the oldest first); paths
            begin with :data:`START` in all places.

    Returns:
        The share; and the effect of each source between 0 and 1, all 0 where the share is.
    """
    chain = _Chain(steps)
    base = chain.conversion(frozenset())
    sources = sorted({state[-1] for state in chain.states} - {START})
    if not base:
        return 0.0, dict.fromkeys(sources, 0.0)
    return base, {
        source: max(0.0, 1 - chain.conversion(frozenset({source})) / base) for source in sources
    }


class _Chain:
    """The chain, solved anew for each source that is taken out of it."""

    def __init__(self, steps: Mapping[tuple[State, str], int]) -> None:
        totals: dict[State, int] = defaultdict(int)
        for (before, _), times in steps.items():
            totals[before] += times
        self.states = sorted(totals)
        number = {state: index for index, state in enumerate(self.states)}
        self._start = number[(START,) * len(self.states[0])] if self.states else 0
        from scipy.sparse import csr_array

        rows, columns, shares = [], [], []
        self._converts = np.zeros(len(self.states))
        for (before, after), times in steps.items():
            share = times / totals[before]
            if after == CONVERSION:
                self._converts[number[before]] += share
            elif after != NULL:
                rows.append(number[before])
                columns.append(number[(*before[1:], after)])
                shares.append(share)
        size = (len(self.states),) * 2
        self._moves = csr_array((shares, (rows, columns)), shape=size)

    def conversion(self, removed: frozenset[str]) -> float:
        """The probability that a path ends in a commitment if some sources lead to nothing."""
        from scipy.sparse import eye_array
        from scipy.sparse.linalg import splu

        if not self.states:
            return 0.0
        stays = np.array([state[-1] not in removed for state in self.states], dtype=float)
        # whoever comes to a removed source is lost: its column and its row are empty
        moves = self._moves.multiply(stays[:, None]).multiply(stays[None, :])
        system = (eye_array(len(self.states)) - moves).tocsc()
        return float(splu(system).solve(self._converts * stays)[self._start])
