"""``bowtie audience``: whom to reach, or not to, as a file for an advertising platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import as_options, as_typed, given, refresh_options
from bowtie_cli.files import open_output
from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain as shown

if TYPE_CHECKING:
    from bowtie.audiences import Audience, Companies, Platform
    from bowtie_projections.audiences import Chosen

__all__ = ["audience"]

#: As :data:`bowtie.audiences.PLATFORMS`, which ``--help`` does not load.
_PLATFORMS = ("generic", "google", "meta", "linkedin", "tiktok")
_WRITTEN = {".csv": "csv", ".json": "json"}

#: Options that only some members are found by.
_ONLY_OF = {
    "top": ("prospects", "tier"),
    "least": ("prospects",),
    "within": ("prospects",),
    **dict.fromkeys(("policy", "horizon", "threshold", "currency"), ("prospects", "tier")),
}


@click.command(cls=Command)
@click.option(
    "--tier", metavar="NAME", help="Customers of a tier of value, or of high value: high."
)
@click.option("--profile", metavar="NAME", help="Prospects whom a target profile targets.")
@click.option("--prospects", is_flag=True, help="Open prospects, by --top or --least.")
@click.option("--customers", is_flag=True, help="Who has committed and is not lost.")
@click.option("--lost", is_flag=True, help="Whose last cycle is lost.")
@click.option(
    "--suppress",
    is_flag=True,
    help="Whom not to reach: of a profile (or of all) those held out; else whom you name.",
)
@click.option("--segment", metavar="NAME|FILE", help="Only those in a segment; alone: all of it.")
@click.option("--where", metavar="TEST", multiple=True, help="Only those with plan=pro; repeat it.")
@click.option("--top", metavar="N|SHARE", help="The best N prospects; of --tier: as value has it.")
@click.option("--least", type=float, metavar="P", help="Prospects with a score from P on.")
@click.option("--within", metavar="TIME", help="Of --prospects: won within this time (180d).")
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon, value, high, tiers.")
@click.option("--horizon", metavar="TIME", help="Over which value counts (365d).")
@click.option("--threshold", metavar="MONEY", help="High is a value from here on.")
@click.option("--currency", metavar="CODE", help="Of value: refuse all others.")
@click.option(
    "--for",
    "platform",
    type=click.Choice(_PLATFORMS),
    default="generic",
    help="Whose columns, and how phones are written (generic).",
)
@click.option("--companies", is_flag=True, help="Companies by name and domain, and no people.")
@click.option(
    "--trait",
    "traits",
    metavar="FIELD=TRAIT",
    multiple=True,
    help="With --companies: what holds a field, such as company=account_name.",
)
@click.option(
    "--consent",
    type=click.Choice(["given", "unless-withdrawn"]),
    help="Who is in: with consent on record (an audience), or not withdrawn (with --suppress).",
)
@click.option("--purpose", metavar="WORD", help="What consent is asked for (advertising).")
@click.option("--email", metavar="TRAIT", help="The trait that holds the address (email).")
@click.option("--phone", metavar="TRAIT", help="The trait that holds the number (phone).")
@click.option("--calling-code", metavar="DIGITS", help="Of phone numbers without one, such as 49.")
@click.option("--plain", is_flag=True, help="Write addresses and numbers as they are: not hashed.")
@click.option("--as-of", metavar="T", help="The world as it was then.")
@click.option("--definition", metavar="NAME|FILE", help="If not the store's own.")
@refresh_options
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="FILE.csv or FILE.json; without it, only counts are told.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
@pass_session
def audience(
    session: Session,
    *,
    platform: str,
    suppress: bool,
    companies: bool,
    plain: bool,
    file: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    r"""Write whom to reach, or not to, as advertising platforms take it: hashed.

    Addresses and numbers are opened with the store's keys, made uniform and hashed by SHA-256. Who
    was forgotten or has withdrawn consent is in no file, who is held out by a profile in no
    audience. Nothing of anybody is printed.

    \b
    Example:
      bowtie audience --tier high --for google -o lookalike-seed.csv
      bowtie audience --profile lookalike --for meta -o targeted.csv
      bowtie audience --profile lookalike --suppress --for meta -o held-out.csv
      bowtie audience --profile lookalike --companies --for linkedin -o companies.csv
    """
    from bowtie.audiences import written_csv, written_json
    from bowtie_projections.audiences import audience as make_audience
    from bowtie_projections.audiences import chosen

    if file is not None and file.suffix.lower() not in _WRITTEN:
        raise click.UsageError(f"{file}: name a file that ends in .csv or .json")
    form = _form(platform, companies=companies, plain=plain)
    asked = given(asked)
    refresh, wait = not asked.pop("no_refresh", False), asked.pop("wait", None)
    shape: dict[str, Any] = {"suppress": suppress, "consent": asked.pop("consent", None)}
    names = ("email", "phone", "purpose", "calling_code")
    shape["traits"] = dict(_pair(one) for one in asked.pop("traits", ()))
    shape["identifiers"] = {name: asked.pop(name) for name in names if name in asked}
    of = _of(asked, suppress=suppress)
    with as_typed(), session.answers(refresh=refresh, wait=wait) as views:
        found = chosen(views, of, **asked)
        built = make_audience(views, found, form, **shape)
    if file is not None:
        write = written_json if file.suffix.lower() == ".json" else written_csv
        with open_output(file) as stream:
            stream.write(write(form, built.rows, plain=plain))
    answer = _told(found, built, form, file, suppress=suppress, plain=plain)
    Output(session, "json" if as_json else "table").show(answer)


def _form(platform: str, *, companies: bool, plain: bool) -> Platform | Companies:
    """The form of the file."""
    from bowtie.audiences import COMPANY_LISTS, PLATFORMS

    if not companies:
        return PLATFORMS[platform]
    if platform not in COMPANY_LISTS:
        known = " or ".join(f"--for {one}" for one in COMPANY_LISTS)
        raise click.UsageError(f"{platform} takes no list of companies: {known}")
    if plain:
        raise click.UsageError("nothing is hashed in a list of companies: leave out --plain")
    return COMPANY_LISTS[platform]


def _pair(text: str) -> tuple[str, str]:
    """A field and the trait that holds it."""
    field, equals, trait = text.partition("=")
    if not (field and equals and trait):
        raise click.UsageError(f"--trait {text}: write FIELD=TRAIT, such as company=account_name")
    return field, trait


def _of(asked: dict[str, Any], *, suppress: bool) -> str:
    """Of what the members are; takes what said so out of what is asked."""
    flags = [name for name in ("prospects", "customers", "lost") if asked.pop(name, False)]
    named = [name for name in ("tier", "profile") if name in asked]
    kinds = [*flags, *named]
    if len(kinds) > 1:
        options = ", ".join(f"--{one}" for one in kinds)
        raise click.UsageError(f"{options}: say one of them (--segment narrows any)")
    if not kinds and suppress and not {"segment", "where"} & asked.keys():
        kinds = ["held_out"]
    elif not kinds and not {"segment", "where"} & asked.keys():
        raise click.UsageError(
            "say who: --segment, --where, --tier, --profile, --prospects, --customers or --lost"
        )
    of = kinds[0] if kinds else "everybody"
    if of == "profile" and suppress:
        of = "held_out"
    if of == "prospects" and "top" in asked:
        top = asked["top"]
        if not (top.isascii() and top.isdigit() and int(top)):
            raise click.UsageError(
                f"--top {top}: write how many of the best prospects, such as 500"
            )
        asked["top"] = int(top)
    for name, whose in _ONLY_OF.items():
        if name in asked and of not in whose:
            kinds_of = " or ".join(f"--{one}" for one in whose)
            raise click.UsageError(f"--{name} goes with {kinds_of}")
    return of


def _told(
    found: Chosen,
    built: Audience,
    form: Platform | Companies,
    file: Path | None,
    *,
    suppress: bool,
    plain: bool,
) -> Answer:
    """Counts, of which nobody can be told from another."""
    in_plain = plain and not _of_companies(form)
    row: dict[str, Any] = {
        "asked": built.asked,
        "members": built.members,
        **_reached(built, form),
        **built.left_out,
    }
    kind = "suppression" if suppress else "audience"
    sentence = f"{found.told} {_sentence(built, form, kind)}"
    notes = [as_options(note) for note in found.answer.notes]
    notes += _notes(built, form, file, in_plain=in_plain)
    whole = {
        "kind": kind,
        "for": form.name,
        "file": None if file is None else str(file),
        "hashed": not plain and not _of_companies(form),
        **row,
        "position": found.answer.meta["position"],
        "as_of": shown(found.answer.meta["as_of"]),
        "sentence": sentence,
        "notes": notes,
    }
    return Answer(list(row), [row], whole, sentence, notes)


def _of_companies(form: Platform | Companies) -> bool:
    from bowtie.audiences import Companies

    return isinstance(form, Companies)


def _reached(built: Audience, form: Platform | Companies) -> dict[str, int]:
    """How many there are of what the file goes by."""
    if _of_companies(form):
        return {"companies": built.companies}
    return {"emails": built.emails, "phones": built.phones}


def _sentence(built: Audience, form: Platform | Companies, kind: str) -> str:
    """Who is in, by what, and who was left out."""
    from bowtie.audiences import REASONS
    from bowtie.wording import counted

    if _of_companies(form):
        by = counted(built.companies, "company", "companies")
    else:
        by = f"{counted(built.emails, 'address', 'addresses')}"
        by += f" and {counted(built.phones, 'phone number')}"
    sentence = f"{built.members:,} of {built.asked:,} are in the {kind}, by {by}."
    left = [f"{count:,} {REASONS[name]}" for name, count in built.left_out.items() if count]
    return f"{sentence} Left out: {'; '.join(left)}." if left else sentence


def _notes(
    built: Audience, form: Platform | Companies, file: Path | None, *, in_plain: bool
) -> Iterator[str]:
    """What can't be used, what is too few, and what became of the file."""
    from bowtie.wording import counted

    if built.unusable and _of_companies(form):
        yield f"{counted(built.unusable, 'value')} can't be used: no web site, domain or page."
    elif built.unusable:
        yield (
            f"{counted(built.unusable, 'identifier')} can't be used: no address, or a phone number"
            " without its country code (--calling-code)."
        )
    if len(built.rows) < form.least:
        yield (
            f"{form.name} asks for {form.least:,} or more of which it knows somebody; this has"
            f" {counted(len(built.rows), 'row')}."
        )
    if file is None:
        yield "Nothing is written: name a file with -o FILE.csv."
    elif in_plain:
        yield f"{file} holds addresses and numbers in plain: delete it when it is used."
