"""``bowtie profile``: whom to look for, published as a decision that is judged later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import as_options, as_typed, ask, given, moment_options
from bowtie_cli.documents import row_of, show_list, show_published
from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie.documents import Document
    from bowtie.profiles import Profile
    from bowtie_projections import Result, Views

__all__ = ["profile"]

#: What is asked of the loop, and is no key of the document.
_OF_LOOP = ("top", "threshold", "time_zero", "traits", "as_of")


@click.group(cls=Group)
def profile() -> None:
    """Publish target profiles, assign prospects by them, and judge what that did."""


@profile.command("list")
@output_options
@pass_session
def list_profiles(session: Session, output: Output) -> None:
    r"""List the target profiles that were published.

    \b
    Example:
      bowtie profile list
    """
    with session.engine() as engine:
        rows = [_described(one) for one in engine.documents("profile")]
    show_list(output, "profile", "profiles", ["title", "says"], rows)


@profile.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--from-loop", is_flag=True, help="For and against: the loop's marks and anti-marks.")
@click.option("--name", metavar="NAME", help="Of the profile, where no file says it.")
@click.option("--title", metavar="TEXT", help="What it is for.")
@click.option("--holdout", metavar="SHARE", help="Of those who fit, the share that is held out.")
@click.option("--by", metavar="TRAIT", help="Draw the levels of a trait, such as a market.")
@click.option("--from", "starts_on", metavar="DAY", help="Assign from that day on.")
@click.option("--to", "ends_on", metavar="DAY", help="Assign through that day (a year).")
@click.option(
    "--prospects",
    type=click.Choice(["new", "open"]),
    help="Those who come from then on, or all who stand open (new).",
)
@click.option("--policy", metavar="NAME", help="A published value policy: what value is.")
@click.option("--horizon", metavar="TIME", help="Without a policy: over which value counts (365d).")
@click.option(
    "--value",
    type=click.Choice(["revenue", "contribution"]),
    help="Without a policy: revenue, or less the costs of onboarding and serving.",
)
@click.option("--top", metavar="SHARE", help="Of the loop: high are the top so many (0.2).")
@click.option("--threshold", metavar="MONEY", help="Of the loop: high is a value from here on.")
@click.option(
    "--time-zero", type=click.Choice(["commitment", "lead"]), help="Of the loop: from when."
)
@click.option("--traits", metavar="FILE", help="Of the loop: a traits.toml.")
@click.option("--as-of", metavar="T", help="Of the loop: the world as it was then.")
@output_options
@pass_session
def publish(session: Session, file: Path | None, output: Output, **asked: Any) -> None:
    r"""Publish a target profile: from a file, from what the loop finds, or from both.

    The same name and version stand for the same text for ever. From the loop, a profile that says
    something else than the newest version takes the next one.

    \b
    Example:
      bowtie profile publish lookalike.toml
      bowtie profile publish --from-loop --name lookalike --holdout 0.2 --from 2026-07-01
    """
    from bowtie.profiles import load_profile, publish_profile
    from bowtie_projections.drafting import drafted

    content, loop = _content(file, given(asked))
    with _views(session) as views:
        if file is not None and loop is None:
            load_profile(file, {}, _texts(views, "policy"))  # says the line of what is wrong
        draft = drafted(views, content, loop=loop)
        head = views.engine.store.head()
        document = publish_profile(views.engine, draft)
    show_published(output, document, head, _described(document))


def _content(
    file: Path | None, asked: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The keys of the document, and what the loop is asked."""
    from bowtie.errors import UsageError
    from bowtie.profiles import load_content

    from_loop = asked.pop("from_loop", False)
    loop = {key: asked.pop(key) for key in _OF_LOOP if key in asked}
    if loop and not from_loop:
        options = ", ".join("--" + key.replace("_", "-") for key in loop)
        raise UsageError(f"{options}: what the loop is asked goes with --from-loop")
    if file is None and not from_loop:
        raise UsageError("name a file of a profile, or take what the loop finds: --from-loop")
    content = {} if file is None else load_content(file)
    if file is not None and not from_loop:
        if asked:
            options = ", ".join(_option(key) for key in asked)
            raise UsageError(f"the file says all of it: write there what {options} would say")
        return content, None
    content |= asked
    if "name" not in content:
        raise UsageError("give the profile a name: --name lookalike")
    if "holdout" not in content:
        raise UsageError(
            "say which share of those who fit is held out, or nobody will ever know what targeting"
            " does: --holdout 0.2"
        )
    said = {key: content[key] for key in ("horizon", "value") if key in content}
    return content, loop | said


def _option(key: str) -> str:
    return {"starts_on": "--from", "ends_on": "--to"}.get(key, f"--{key}")


@profile.command()
@click.argument("name", metavar="NAME|FILE")
@moment_options
@output_options_with_parts
@pass_session
def check(session: Session, output: Output, **asked: Any) -> None:
    r"""Check a profile: whom it would have fitted, what it can show, and if its findings hold.

    What is wrong in a file is said with its line. Without a store only the text is checked.

    \b
    Example:
      bowtie profile check lookalike.toml
    """
    from bowtie.errors import StoreMissing
    from bowtie.profiles import load_profile
    from bowtie_projections.drafting import findings_again

    name = asked.pop("name")
    try:
        answer = ask(session, "profile_outlook", asked | {"profile": name})
        with _views(session) as views:
            found = load_profile(name, _texts(views, "profile"), _texts(views, "policy"))
            again = findings_again(views, found)
    except StoreMissing:
        if session.store is not None:
            raise
        found = load_profile(name)
        sentence = f"{found.label} is a profile: {found}. There is no store here to try it on."
        row = {"profile": found.label, "says": str(found), "sha256": found.sha256}
        output.show(Answer(list(row), [row], plain(row), sentence))
        return
    answer.sentence = f"{found.label} is a profile. {answer.sentence}"
    answer.meta["findings_again"] = again
    if again is not None:
        held = "says the same" if again else "SAYS SOMETHING ELSE: was something retracted?"
        position = (found.evidence or {})["position"]
        answer.notes.append(
            f"Its findings: the loop, asked again at position {position:,}, {held}."
        )
    output.show(answer)


@profile.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
@pass_session
def show(session: Session, name: str, output: Path | None) -> None:
    r"""Print a profile as it was published: JSON, which publish takes too.

    \b
    Example:
      bowtie profile show lookalike
    """
    from bowtie.profiles import load_profile

    with session.engine() as engine:
        found = load_profile(name, {one.label: one.body for one in engine.documents("profile")})
    with open_output(output) as stream:
        stream.write(found.text.encode())


@profile.command()
@click.argument("name")
@click.option("--as-of", metavar="T", help="When they are assigned (now).")
@click.option("--dry-run", is_flag=True, help="Record nothing.")
@click.option("--who", is_flag=True, help="Those that are assigned, by their keys.")
@click.option("--definition", metavar="NAME|FILE", help="If not the store's own.")
@output_options
@pass_session
def assign(
    session: Session,
    name: str,
    output: Output,
    *,
    as_of: str | None,
    dry_run: bool,
    who: bool,
    definition: str | None,
) -> None:
    r"""Assign the open prospects that fit a profile: targeted, or held out. Run it each night.

    Each is assigned once and for ever, by the profile as it was published.

    \b
    Example:
      bowtie profile assign lookalike
      bowtie profile assign lookalike --dry-run --who --format csv
    """
    from bowtie.errors import UsageError
    from bowtie.profiles import Assigned, load_profile, record_targeted
    from bowtie.times import moment

    now = datetime.now(UTC)
    at = now if as_of is None else moment(as_of, end_of_day=True)
    if at > now:
        raise UsageError(f"--as-of {as_of} has not come: prospects are assigned then")
    with _views(session) as views:
        found = load_profile(name, known := _texts(views, "profile"))
        if known.get(found.label) != found.text:
            raise UsageError(
                f"{found.label} is not published, and is judged as it stands there: bowtie profile"
                f" publish {name}"
            )
        asked = given({"as_of": at, "definition": definition})
        result = views.profile_prospects(found, **asked)
        rows = result.rows()
        late = 0
        if rows and not dry_run:
            chosen = (Assigned(row["customer"], row["arm"], str(row["score"])) for row in rows)
            late = len(rows) - record_targeted(views.engine, found, chosen, at).appended
    output.show(_assigned(found, result, at, late, dry_run=dry_run, who=who))


def _assigned(
    found: Profile, result: Result, at: datetime, late: int, *, dry_run: bool, who: bool
) -> Answer:
    """What was assigned, by arm or (``who``) by key; ``late`` are those whom another had."""
    rows = result.rows()
    notes = [as_options(note) for note in result.notes]
    if late:
        notes.append(f"{late:,} were assigned by another process meanwhile: that holds.")
    done = "would be" if dry_run else "are"
    arms = Counter(row["arm"] for row in rows)
    table = (
        rows if who else [{"arm": arm, "assigned": arms[arm]} for arm in ("targeted", "holdout")]
    )
    columns = result.columns if who else ["arm", "assigned"]
    sentence = result.sentence
    if result.meta["open"]:
        sentence += f" {len(rows) - late:,} {done} assigned."
    whole = {
        "profile": found.label,
        "at": plain(at),
        "dry_run": dry_run,
        **{arm: arms[arm] for arm in ("targeted", "holdout")},
        "sentence": sentence,
        "notes": notes,
        "prospects": list(map(plain, rows)),
    }
    return Answer(columns, table, whole, sentence, notes)


@profile.command()
@click.argument("name", metavar="NAME")
@click.option("--interim", is_flag=True, help="Tell the figures before all are old enough.")
@click.option(
    "--by",
    metavar="TRAIT",
    multiple=True,
    help="The effect within its levels too, as known at assignment; repeat it.",
)
@click.option("--segment", metavar="NAME|FILE", help="Only who was in it at their assignment.")
@click.option(
    "--where", metavar="TEST", multiple=True, help="Only who had plan=pro then; repeat it."
)
@click.option("--record", is_flag=True, help="Keep the answer in the log.")
@click.option("--data-through", metavar="DAY", help="Up to when the data is complete.")
@click.option("--definition", metavar="NAME|FILE", help="If not the store's own.")
@click.option("--tz", metavar="ZONE", help="The zone of days (UTC).")
@moment_options
@plot_option
@output_options_with_parts
@pass_session
def evaluate(session: Session, output: Output, *, record: bool, **asked: Any) -> None:
    r"""Say what targeting by a profile did: targeted less held out, by intention to treat.

    \b
    Example:
      bowtie profile evaluate lookalike
      bowtie profile evaluate lookalike/1 --part trend
      bowtie profile evaluate lookalike --by channel --by industry
      bowtie profile evaluate lookalike --where industry=food
    """
    from bowtie.profiles import load_profile, record_evaluated

    asked["profile"] = asked.pop("name")
    answer = ask(session, "profile_evaluation", asked)
    if record:
        with _views(session) as views:
            found = load_profile(asked["profile"], _texts(views, "profile"))
            record_evaluated(views.engine, found, answer.to_dict())
        session.say(f"The answer is kept in the log, in the stream profile/{found.name}.")
    output.show(answer)


@profile.command()
@click.argument("name", metavar="NAME")
@click.option("--data-through", metavar="DAY", help="Up to when the data is complete.")
@click.option("--definition", metavar="NAME|FILE", help="If not the store's own.")
@click.option("--tz", metavar="ZONE", help="The zone of days (UTC).")
@moment_options
@plot_option
@output_options
@pass_session
def history(session: Session, output: Output, **asked: Any) -> None:
    r"""Show a profile version after version: whether the loop makes acquisition better.

    \b
    Example:
      bowtie profile history lookalike
      bowtie profile history lookalike --plot history.svg
    """
    asked["profile"] = asked.pop("name")
    output.show(ask(session, "profile_history", asked))


@contextmanager
def _views(session: Session) -> Iterator[Views]:
    """The views of a store that can be written to."""
    with as_typed(), session.engine() as engine:
        from bowtie_projections import Views

        with Views.open(engine, session.views) as views:
            yield views


def _texts(views: Views, kind: str) -> Mapping[str, str]:
    return {one.label: one.body for one in views.engine.documents(kind)}


def _described(document: Document) -> dict[str, Any]:
    """A published profile in a row; one that can't be read says why."""
    from bowtie.errors import DefinitionError
    from bowtie.profiles import load_profile

    try:
        found: Profile = load_profile(document.body)
        title, says = found.title or None, str(found)
    except DefinitionError as error:
        title, says = None, f"can't be read: {error}"
    return row_of(document, "profile", {"title": title, "says": says})
