"""``bowtie webhook``: addresses that messages go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.failures import Failure
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.outbox import Endpoint

__all__ = ["webhook"]

#: As :data:`bowtie.outbox.TOPICS`, which ``--help`` does not load.
_TOPICS = ("profile_published", "prospect_crossed")
_COLUMNS = ["webhook", "url", "on", "rule", "waiting", "delivered", "dead", "stopped"]


@click.group(cls=Group)
def webhook() -> None:
    """Add, list, try and remove addresses that messages go to."""


@webhook.command()
@click.argument("url")
@click.option(
    "--on",
    "topics",
    type=click.Choice(_TOPICS),
    multiple=True,
    required=True,
    help="What it is told; repeat it.",
)
@click.option("--name", metavar="NAME", help="What it is called (as the host).")
@click.option("--least", type=float, metavar="P", help="A prospect crosses from this score on.")
@click.option(
    "--again", type=float, metavar="P", help="It must fall below this to cross again (0.8 of it)."
)
@click.option(
    "--score",
    type=click.Choice(["p_win", "p_high_value"]),
    default="p_high_value",
    help="Which chance: to be won, or won and of high value (p_high_value).",
)
@click.option("--policy", metavar="NAME", help="A published value policy: what high value is.")
@click.option("--within", metavar="TIME", help="Won is who commits within this time (180d).")
@click.option("--holdouts", is_flag=True, help="Tell of those too whom a profile holds out.")
@click.option("--insecure", is_flag=True, help="Plain http will do, wherever it is.")
@output_options
@pass_session
def add(
    session: Session,
    output: Output,
    *,
    url: str,
    topics: tuple[str, ...],
    name: str | None,
    insecure: bool,
    least: float | None,
    **rule: Any,
) -> None:
    r"""Add an address; it is told of what is recorded from now on.

    Its secret is put into a file beside the store's master key, unless the environment holds it.

    \b
    Example:
      bowtie webhook add https://hooks.example.org/bowtie --on profile_published
      bowtie webhook add https://crm.example.org/hot --on prospect_crossed --least 0.3
    """
    from bowtie.errors import UsageError
    from bowtie.outbox import CrossingRule, add_endpoint, secret_place
    from bowtie.policies import load_policy

    crossing = None
    if least is not None:
        crossing = CrossingRule(least=least, **rule)
    elif "prospect_crossed" in topics:
        raise UsageError("say from which score on a prospect has crossed: --least 0.3")
    with session.engine() as engine:
        if crossing is not None and crossing.policy is not None:
            load_policy(
                crossing.policy, {one.label: one.body for one in engine.documents("policy")}
            )
        added = add_endpoint(engine, url, topics, name=name, rule=crossing, insecure=insecure)
        place = secret_place(engine.store, added.name)
        row = _row(engine, added)
    where = f"the file {place}" if place is not None and place.exists() else "the environment"
    sentence = f"{added.name} is told from now on. Its signing secret is in {where}: give it to"
    sentence += " whoever receives, and try bowtie webhook test " + added.name + "."
    output.show(Answer(_COLUMNS, [row], plain(row), sentence))


@webhook.command("list")
@output_options
@pass_session
def list_endpoints(session: Session, output: Output) -> None:
    r"""List the addresses, and what waits for each.

    \b
    Example:
      bowtie webhook list
    """
    from bowtie.outbox import endpoints

    with session.engine() as engine:
        rows = [_row(engine, one) for one in endpoints(engine)]
    sentence = "" if rows else "Messages go nowhere yet: bowtie webhook add URL --on TOPIC."
    output.show(Answer(_COLUMNS, rows, {"webhooks": list(map(plain, rows))}, sentence))


@webhook.command()
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=20.0,
    metavar="SECONDS",
    help="How long it may take (20).",
)
@pass_session
def test(session: Session, name: str, timeout: float) -> None:
    r"""Send an address a message of the type webhook.test, past the outbox.

    \b
    Example:
      bowtie webhook test hooks-example-org
    """
    from bowtie.outbox import Sender, endpoint_named, try_endpoint

    with session.engine() as engine, Sender(timeout) as sender:
        endpoint = endpoint_named(engine, name)
        answered = try_endpoint(engine, endpoint, sender)
    if not answered.taken:
        raise Failure(f"{name} did not take it: {answered.reason}")
    session.say(f"{name} took it.")


@webhook.command()
@click.argument("name")
@pass_session
def rotate(session: Session, name: str) -> None:
    r"""Make a new secret; until the next change, messages carry both signatures.

    \b
    Example:
      bowtie webhook rotate hooks-example-org
    """
    from bowtie.outbox import endpoint_named, rotate_secret, secret_place

    with session.engine() as engine:
        endpoint_named(engine, name)
        rotate_secret(engine.store, name)
        place = secret_place(engine.store, name)
    session.say(f"The new secret of {name} stands first in {place}; give it to whoever receives.")


@webhook.command()
@click.argument("name")
@pass_session
def start(session: Session, name: str) -> None:
    r"""Send to an address again that had answered 410, gone.

    \b
    Example:
      bowtie webhook start hooks-example-org
    """
    from bowtie.outbox import counted_by_state, start_endpoint
    from bowtie.wording import counted

    with session.engine() as engine:
        start_endpoint(engine, name)
        waiting = counted_by_state(engine, name)["waiting"]
    session.say(f"{name} is sent to again; {counted(waiting, 'message')} waited.")


@webhook.command()
@click.argument("name")
@pass_session
def remove(session: Session, name: str) -> None:
    r"""Remove an address with its secret and all its messages.

    \b
    Example:
      bowtie webhook remove hooks-example-org
    """
    from bowtie.outbox import remove_endpoint
    from bowtie.wording import counted

    with session.engine() as engine:
        waiting = remove_endpoint(engine, name)
    session.say(f"{name} is removed, and {counted(waiting, 'message')} that waited for it.")


def _row(engine: Bowtie, endpoint: Endpoint) -> dict[str, Any]:
    from bowtie.outbox import counted_by_state

    rule = endpoint.rule
    said = None
    if rule is not None:
        said = f"{rule.score} from {rule.least:g} on, again below {rule.again:g}"
        said += f", policy {rule.policy}" if rule.policy else ""
        said += f", within {rule.within}" if rule.within else ""
        said += ", holdouts too" if rule.holdouts else ""
    return {
        "webhook": endpoint.name,
        "url": endpoint.shown,
        "on": ", ".join(endpoint.topics),
        "rule": said,
        **counted_by_state(engine, endpoint.name),
        "stopped": endpoint.stopped,
    }
