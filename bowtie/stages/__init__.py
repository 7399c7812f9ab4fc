"""The seven stages, and definitions of what it means to have entered one.

>>> from bowtie.stages import STAGES, load_definition
>>> STAGES[3], load_definition("shop").label
('commitment', 'shop/1')
"""

from bowtie.stages.definition import (
    NUMBER_PATTERN,
    STAGES,
    Comparison,
    Condition,
    DayTotal,
    Definition,
    Milestone,
    Within,
)
from bowtie.stages.evaluation import Cycle, current_stage, evaluate
from bowtie.stages.loading import builtin_definitions, load_definition

__all__ = [
    "NUMBER_PATTERN",
    "STAGES",
    "Comparison",
    "Condition",
    "Cycle",
    "DayTotal",
    "Definition",
    "Milestone",
    "Within",
    "builtin_definitions",
    "current_stage",
    "evaluate",
    "load_definition",
]
