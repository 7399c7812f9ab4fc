"""The command ``bowtie``: what it is called with, and which module answers.

Nothing of the engine is imported here: ``bowtie --help`` prints from the table below.
"""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.groups import Root
from bowtie_cli.session import Session, session_options

__all__ = ["main"]

#: The commands under the headings of the help, each with what it does in one line, the first of
#: its own help. The module of its name holds it.
SECTIONS = {
    "The log": {
        "init": "Create a store, or set what a store goes by; upgrade one that an older version"
        " made.",
        "ingest": "Append event logs to the store.",
        "record": "Append one event to the store.",
        "journey": "Show what is known of one customer.",
        "replay": "Bring the read tables up to date.",
        "status": "Show what is in the log and what can be answered.",
        "demo": "Write a believable event log with known truths in it.",
    },
    "All of it": {
        "report": "Write one web page of many views' answers, for whoever asks none.",
    },
    "Journeys": {
        "funnel": "Count how customers move from stage to stage.",
        "stock": "Count who stands in each stage, how long, and who is stuck.",
        "flow": "Count who entered each stage, and who was lost, in each period.",
        "velocity": "Tell how many days each step takes, by cohort.",
        "paths": "Count from where to where customers go, and how they get on.",
        "pipeline": "Count open opportunities, and what they may bring.",
        "touchpoints": "Count touches by touchpoint, with their cost and scores.",
        "bottleneck": "Find what, were it better, would add most revenue.",
        "metrics": "Show the volumes, conversions and days of a named edition of the bowtie.",
    },
    "Money and value": {
        "revenue": "Tell recurring revenue, what moved it, and what was kept.",
        "retention": "Tell who is still active at each age, by cohort.",
        "repeat": "Count the customers who order a second time.",
        "value": "Tell what customers were worth, by cohort, and in which tier.",
        "clv": "Predict what customers will bring, and say how good the prediction was.",
        "rfm": "Put customers into segments by recency, frequency and money of their orders.",
        "referrals": "Tell the customers and the value that each customer brought.",
        "partners": "Tell the customers and the value that partners brought, or had a part in.",
    },
    "The closed loop": {
        "loop": "Find the traits and sources of customers of high value.",
        "attribution": "Credit channels with commitments and value, model by model.",
        "prospects": "Score the open prospects: who is likely to be won, and worth much.",
        "profile": "Publish target profiles, assign prospects by them, and judge what that did.",
        "audience": "Write whom to reach, or not to, as advertising platforms take it: hashed.",
        "webhook": "Add, list, try and remove addresses that messages go to.",
        "outbox": "List messages, deliver them, try them again, or drop them.",
    },
    "Where figures come from": {
        "explain": "Name whom a figure counts, and the exact events behind it.",
        "diff": "Say which figures of a view changed, whom they count otherwise, and by which"
        " events.",
        "sql": "Ask the read tables in SQL.",
        "export": "Write the log or the read tables to files.",
    },
    "What figures go by": {
        "definition": "Publish, list, show, copy, check and compare stage definitions.",
        "segment": "Publish, list, show and check segments of customers.",
        "policy": "Publish, list, show and check value policies.",
        "schema": "Print the JSON Schema of the wire.",
    },
    "Care of the store": {
        "parked": "List what was refused, try it again, or drop it.",
        "forget": "Destroy a customer's personal data for ever.",
        "keys": "Change the master key.",
        "verify": "Check the log, and the read tables against it.",
    },
}


@click.group(
    "bowtie",
    cls=Root,
    sections=SECTIONS,
    params=session_options(),
    context_settings={
        "auto_envvar_prefix": "BOWTIE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="The options above may follow the command too. What is not given is taken from"
    " BOWTIE_STORE and the like, then from bowtie.toml or [tool.bowtie] in pyproject.toml."
    " Exit codes: 0 done, 1 an error, 2 wrong usage, 3 problems found, 4 a conflict.",
)
@click.version_option(package_name="bowtie-journeys", prog_name="bowtie")
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    r"""Customer journeys from one event log: the funnel over both halves, and the loop.

    \b
    Example:
      bowtie demo -o log.jsonl
      bowtie ingest log.jsonl
      bowtie funnel --by channel
    """
    context.obj = Session(**options)
