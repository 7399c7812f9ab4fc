"""The command ``bowtie``: what it is called with, and which module answers.

Nothing of the engine is imported here: ``bowtie --help`` prints from the table below.
"""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.groups import LazyCommand, Root
from bowtie_cli.session import Session, session_options

__all__ = ["main"]

#: Each command, where it is, and what it does in one line (the first line of its own help).
COMMANDS = (
    LazyCommand(
        "init",
        "init",
        "Create a store, or set what a store goes by; upgrade one that an older version made.",
    ),
    LazyCommand("ingest", "ingest", "Append event logs to the store."),
    LazyCommand("record", "record", "Append one event to the store."),
    LazyCommand("journey", "journey", "Show what is known of one customer."),
    LazyCommand("replay", "replay", "Bring the read tables up to date."),
    LazyCommand("status", "status", "Show what is in the log and what can be answered."),
    LazyCommand("funnel", "funnel", "Count how customers move from stage to stage."),
    LazyCommand("stock", "stock", "Count who stands in each stage, how long, and who is stuck."),
    LazyCommand("flow", "flow", "Count who entered each stage, and who was lost, in each period."),
    LazyCommand("velocity", "velocity", "Tell how many days each step takes, by cohort."),
    LazyCommand("paths", "paths", "Count from where to where customers go, and how they get on."),
    LazyCommand("pipeline", "pipeline", "Count open opportunities, and what they may bring."),
    LazyCommand("retention", "retention", "Tell who is still active at each age, by cohort."),
    LazyCommand("revenue", "revenue", "Tell recurring revenue, what moved it, and what was kept."),
    LazyCommand("repeat", "repeat", "Count the customers who order a second time."),
    LazyCommand(
        "touchpoints", "touchpoints", "Count touches by touchpoint, with their cost and scores."
    ),
    LazyCommand("bottleneck", "bottleneck", "Find what, were it better, would add most revenue."),
    LazyCommand(
        "metrics",
        "metrics",
        "Show the volumes, conversions and days of a named edition of the bowtie.",
    ),
    LazyCommand("value", "value", "Tell what customers were worth, by cohort, and in which tier."),
    LazyCommand(
        "clv", "clv", "Predict what customers will bring, and say how good the prediction was."
    ),
    LazyCommand(
        "rfm", "rfm", "Put customers into segments by recency, frequency and money of their orders."
    ),
    LazyCommand(
        "referrals", "referrals", "Tell the customers and the value that each customer brought."
    ),
    LazyCommand(
        "partners",
        "partners",
        "Tell the customers and the value that partners brought, or had a part in.",
    ),
    LazyCommand("loop", "loop", "Find the traits and sources of customers of high value."),
    LazyCommand(
        "prospects",
        "prospects",
        "Score the open prospects: who is likely to be won, and worth much.",
    ),
    LazyCommand(
        "attribution", "attribution", "Credit channels with commitments and value, model by model."
    ),
    LazyCommand("explain", "explain", "Name whom a figure counts, and the exact events behind it."),
    LazyCommand(
        "diff",
        "diff",
        "Say which figures of a view changed, whom they count otherwise, and by which events.",
    ),
    LazyCommand("sql", "sql", "Ask the read tables in SQL."),
    LazyCommand("export", "export", "Write the log or the read tables to files."),
    LazyCommand(
        "definition",
        "definition",
        "Publish, list, show, copy, check and compare stage definitions.",
    ),
    LazyCommand("segment", "segment", "Publish, list, show and check segments of customers."),
    LazyCommand("policy", "policy", "Publish, list, show and check value policies."),
    LazyCommand(
        "profile",
        "profile",
        "Publish target profiles, assign prospects by them, and judge what that did.",
    ),
    LazyCommand(
        "audience",
        "audience",
        "Write whom to reach, or not to, as advertising platforms take it: hashed.",
    ),
    LazyCommand("webhook", "webhook", "Add, list, try and remove addresses that messages go to."),
    LazyCommand("outbox", "outbox", "List messages, deliver them, try them again, or drop them."),
    LazyCommand("schema", "schema", "Print the JSON Schema of the wire."),
    LazyCommand("parked", "parked", "List what was refused, try it again, or drop it."),
    LazyCommand("forget", "forget", "Destroy a customer's personal data for ever."),
    LazyCommand("keys", "keys", "Change the master key."),
    LazyCommand("verify", "verify", "Check the log, and the read tables against it."),
    LazyCommand("demo", "demo", "Write a believable event log with known truths in it."),
)


@click.group(
    "bowtie",
    cls=Root,
    lazy=COMMANDS,
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
