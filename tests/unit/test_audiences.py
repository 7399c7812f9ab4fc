"""Who is in the file of an audience, by which hashes, and who never is."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie import Bowtie
from bowtie.audiences import (
    COMPANY_FIELDS,
    COMPANY_LISTS,
    PLATFORMS,
    Audience,
    build_audience,
    company_row,
    hashed,
    normal_email,
    normal_phone,
    written_csv,
    written_json,
)
from bowtie.errors import UsageError
from bowtie.events import IdentityLinked, IdentityUnlinked, Noted, Retracted, TraitsObserved
from bowtie_projections import Views
from bowtie_projections.audiences import Chosen, audience

START = datetime(2026, 1, 1, tzinfo=UTC)
GENERIC = PLATFORMS["generic"]


@pytest.fixture
def engine():
    with Bowtie.open("memory://") as made:
        yield made


def told(engine: Bowtie, customer: str, day: int = 0, *, id: str | None = None, **traits: object):
    data = TraitsObserved(traits=traits)
    engine.record(customer, data, occurred_at=START + timedelta(days=day), id=id)


def said(engine: Bowtie, customer: str, what: str, day: int = 0, **properties: object):
    data = Noted(name=what, properties=properties)
    engine.record(customer, data, occurred_at=START + timedelta(days=day))


def people(engine: Bowtie, *names: str, consent: bool = True) -> None:
    for name in names:
        told(engine, name, email=f"{name}@example.org")
        if consent:
            said(engine, name, "consent_given")


def emails(audience: Audience) -> list[str]:
    return sorted({email.partition("@")[0] for email, _ in audience.rows} - {""})


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" Ada@Example.ORG\t", "ada@example.org"),
        ("ada+x@example.org", "ada+x@example.org"),
        ("ada", None), ("a@b", None), ("a b@example.org", None), ("a@b@c.org", None), ("", None),
        ("a@example.org, b@example.org", None), (None, None), (7, None),
    ],
)  # fmt: skip
def test_addresses_are_made_uniform_or_refused(text, normal):
    assert normal_email(text) == normal


@pytest.mark.parametrize(
    ("text", "code", "normal"),
    [
        ("+1 (657) 777-0000", "", "16577770000"),
        ("0044 844 412 4653", "", "448444124653"),
        (16577770000, "", None),
        ("06 1234 5678", "31", "31612345678"),
        ("612345678", "31", "31612345678"),
        ("0612345678", "", None),
        ("+0612345678", "31", None), ("+49123", "", None), ("+" + "1" * 16, "", None),
        ("+49151 ask for Ada", "", None), ("", "31", None), (None, "31", None),
    ],
)  # fmt: skip
def test_numbers_are_made_uniform_or_refused(text, code, normal):
    assert normal_phone(text, code) == normal


@given(st.text())
def test_what_is_uniform_stays_as_it_is(text):
    for normal in (normal_email, lambda one: normal_phone(one, "49")):
        once = normal(text)
        assert once is None or normal_email(once) == once or normal_phone("+" + once) == once


def test_each_platform_has_its_own_columns_and_its_own_way_with_phones():
    """The vector of an e-mail is that of Google's help page; of phones, of the text they say."""
    row = [("ada@example.org", "16577770000")]
    sha = {
        one: hashlib.sha256(one.encode()).hexdigest()
        for one in ("ada@example.org", "+16577770000", "16577770000")
    }
    expected = {
        "generic": (["email_sha256", "phone_sha256"], ["ada@example.org", "+16577770000"]),
        "google": (["Email", "Phone"], ["ada@example.org", "+16577770000"]),
        "meta": (["email", "phone"], ["ada@example.org", "16577770000"]),
        "linkedin": (
            # as its template has them, which takes no other header
            "email,firstname,lastname,jobtitle,employeecompany,country,googleaid".split(","),
            ["ada@example.org"],
        ),
        "tiktok": (["Email_SHA256", "Phone_SHA256"], ["ada@example.org", "+16577770000"]),
    }
    assert expected.keys() == PLATFORMS.keys()
    for name, (columns, values) in expected.items():
        header, cells = csv.reader(io.StringIO(written_csv(PLATFORMS[name], row).decode()))
        told = [sha[one] for one in values]
        assert (header, cells) == (columns, [*told, *[""] * (len(columns) - len(told))])
        (found,) = json.loads(written_json(PLATFORMS[name], row))
        assert found == dict(zip(columns, told, strict=False))
    plain = written_csv(GENERIC, row, plain=True).decode()
    assert plain == "email,phone\nada@example.org,+16577770000\n"
    plain = written_csv(PLATFORMS["tiktok"], row, plain=True).decode()
    assert plain == "Email,Phone\nada@example.org,+16577770000\n"
    # printed in TikTok's help, by which anyone can check that the hash is the usual one
    assert hashed("janedoe@gmail.com").startswith("d6117306485ed0e50afab3ac871e98f8169915")


def test_the_newest_value_holds_over_linked_keys_and_null_unsets(engine):
    people(engine, "ada")
    told(engine, "ada", 3, email="new@example.org")
    told(engine, "web-17", 5, email="newest@example.org", phone="+49 151 23456789")
    told(engine, "bob", 1, email="bob@example.org")
    told(engine, "bob", 2, email=None)
    told(engine, "eve", 1, email="wrong@example.org", id="e1")
    engine.record("eve", Retracted(of_source="bowtie", of_id="e1"))
    engine.record("ada", IdentityLinked(alias="web-17"), IdentityLinked(alias="Second@example.org"))
    found = build_audience(engine, ["ada", "bob", "eve"], GENERIC, consent="unless-withdrawn")
    assert found.rows == [("newest@example.org", "4915123456789"), ("second@example.org", "")]
    assert (found.asked, found.members, found.emails, found.phones) == (3, 1, 2, 1)
    assert found.left_out["no_identifier"] == 2
    engine.record("ada", IdentityUnlinked(alias="web-17"))
    found = build_audience(engine, ["ada"], GENERIC, consent="unless-withdrawn")
    assert emails(found) == ["new", "second"]


def test_consent_is_what_was_said_last_for_the_purpose(engine):
    people(engine, "ada", "bob", "cid", "dan", "eve", consent=False)
    said(engine, "ada", "consent_given", 1)
    said(engine, "bob", "consent_given", 2)
    said(engine, "bob", "consent_withdrawn", 2)  # at once: no is no
    said(engine, "cid", "consent_withdrawn", 5)
    said(engine, "cid", "consent_given", 6)
    said(engine, "dan", "consent_given", purpose="newsletter")
    everybody = ["ada", "bob", "cid", "dan", "eve"]
    found = build_audience(engine, everybody, GENERIC)
    assert emails(found) == ["ada", "cid"]
    assert (found.left_out["withdrawn"], found.left_out["no_consent"]) == (1, 2)
    found = build_audience(engine, everybody, GENERIC, consent="unless-withdrawn")
    assert emails(found) == ["ada", "cid", "dan", "eve"]
    assert emails(build_audience(engine, everybody, GENERIC, purpose="newsletter")) == [
        "ada", "cid", "dan",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="unless-withdrawn"):
        build_audience(engine, [], GENERIC, consent="assumed")


def test_consent_withdrawn_under_a_linked_key_counts(engine):
    people(engine, "ada", "web-17")
    said(engine, "web-17", "consent_withdrawn", 9)
    engine.record("ada", IdentityLinked(alias="web-17"))
    found = build_audience(engine, ["ada"], GENERIC, consent="unless-withdrawn")
    assert (found.rows, found.left_out["withdrawn"]) == ([], 1)


def test_who_was_forgotten_is_in_no_file(engine):
    people(engine, "ada", "web-17", "bob")
    engine.record("ada", IdentityLinked(alias="web-17"))
    engine.forget("web-17")
    found = build_audience(engine, ["ada", "bob"], GENERIC, consent="unless-withdrawn")
    assert emails(found) == ["bob"]
    assert found.left_out["forgotten"] == 1


def test_who_is_held_out_is_in_no_audience_nor_is_an_address_of_theirs(engine):
    people(engine, "ada", "bob", "cid")
    told(engine, "dan", email="BOB@example.org")
    said(engine, "dan", "consent_given")
    found = build_audience(engine, ["ada", "bob", "dan"], GENERIC, held_out=["bob", "cid"])
    assert emails(found) == ["ada"]
    assert (found.left_out["held_out"], found.left_out["shared"]) == (1, 1)
    assert found.asked == found.members + sum(found.left_out.values())


def test_an_address_of_somebody_who_withdrew_is_in_no_file_whoever_has_it_too(engine):
    """Two keys of one person need not be linked for a no to be a no."""
    people(engine, "ada", "bob")
    told(engine, "old-ada", email="Ada@example.org")
    said(engine, "old-ada", "consent_withdrawn")
    told(engine, "old-bob", email="bob@example.org")
    said(engine, "old-bob", "consent_withdrawn")
    said(engine, "old-bob", "consent_given", 1)
    found = build_audience(engine, ["ada", "bob"], GENERIC, withdrew=["old-ada", "old-bob"])
    assert emails(found) == ["bob"]
    assert (found.asked, found.members, found.left_out["shared"]) == (2, 1, 1)

    with Views.open(engine) as views:
        chosen = Chosen(["ada", "bob"], views.members(), "")
        for suppress in (False, True):
            assert emails(audience(views, chosen, GENERIC, suppress=suppress)) == ["bob"]


def test_who_is_reached_by_nothing_that_the_platform_takes_is_no_member(engine):
    told(engine, "ada", phone="+49 151 23456789")
    told(engine, "bob", phone="0151 23456789")
    said(engine, "ada", "consent_given")
    said(engine, "bob", "consent_given")
    found = build_audience(engine, ["ada", "bob"], PLATFORMS["linkedin"])
    assert (found.rows, found.left_out["no_identifier"], found.unusable) == ([], 2, 0)
    found = build_audience(engine, ["ada", "bob"], PLATFORMS["meta"])
    assert (found.members, found.unusable) == (1, 1)
    found = build_audience(engine, ["ada", "bob"], PLATFORMS["meta"], calling_code="49")
    assert (found.members, found.rows) == (2, [("", "4915123456789")])
    with pytest.raises(UsageError, match="calling code"):
        build_audience(engine, ["ada"], GENERIC, calling_code="+49")


@pytest.mark.parametrize(
    ("field", "text", "uniform"),
    [
        ("company", "  Acme   Ltd\n", "Acme Ltd"),
        ("website", "HTTPS://www.Acme.example:443/en?x=1", "acme.example"),
        ("website", "acme.example", "acme.example"),
        ("website", "shop.acme.example/", "shop.acme.example"),
        ("website", "bücher.example", "xn--bcher-kva.example"),
        ("website", "n/a", ""), ("website", "localhost", ""), ("website", "http://[::1", ""),
        ("email_domain", "Ada@Acme.example", "acme.example"),
        ("email_domain", "@acme.example.", "acme.example"), ("email_domain", "acme", ""),
        ("linkedin_page", "linkedin.com/company/Acme/about",
         "https://www.linkedin.com/company/acme"),
        ("linkedin_page", "https://de.linkedin.com/company/acme?x",
         "https://www.linkedin.com/company/acme"),
        ("linkedin_page", "https://linkedin.com/in/ada", ""),
        ("country", "de", "DE"), ("country", "Germany", "Germany"), ("zip", "01 067", "01 067"),
    ],
)  # fmt: skip
def test_fields_of_a_company_are_made_uniform_or_refused(field, text, uniform):
    row, unusable = company_row({field: text}, {})
    assert dict(zip(COMPANY_FIELDS, row, strict=True))[field] == uniform
    assert unusable == (uniform == "")
    again, _ = company_row({field: uniform}, {})
    assert again == row


def company(engine: Bowtie, customer: str, name: str, consent: str | None = "given") -> None:
    told(engine, customer, account=name, website=f"https://www.{name}.example", country="de")
    if consent is not None:
        said(engine, customer, f"consent_{consent}")


LINKEDIN = COMPANY_LISTS["linkedin"]
OF_ACCOUNTS: dict[str, Any] = {"traits": {"company": "account"}}


def test_companies_are_listed_as_linkedins_template_has_them(engine):
    company(engine, "ada", "acme")
    company(engine, "bob", "acme")  # the same company, told of by two
    company(engine, "eve", "zeta")
    told(engine, "eve", 1, website=None)
    told(engine, "jim", plan="pro")
    said(engine, "jim", "consent_given")
    found = build_audience(engine, ["ada", "bob", "eve", "jim"], LINKEDIN, **OF_ACCOUNTS)
    header, *lines = written_csv(LINKEDIN, found.rows).decode().splitlines()
    assert header == (
        "companyname,companywebsite,companyemaildomain,linkedincompanypageurl,stocksymbol,industry,"
        "city,state,companycountry,zipcode"
    )
    assert lines == [
        "acme,acme.example,,,,,,,DE,",
        "zeta,,,,,,,,DE,",
    ]
    assert (found.members, found.companies, found.emails) == (3, 2, 0)
    assert found.left_out["no_identifier"] == 1
    generic = build_audience(engine, ["ada"], COMPANY_LISTS["generic"], **OF_ACCOUNTS)
    (row,) = json.loads(written_json(COMPANY_LISTS["generic"], generic.rows))
    assert row == {"company": "acme", "website": "acme.example", "country": "DE"}


def test_a_company_is_in_no_list_if_anybody_of_it_must_not_be(engine):
    for customer, name, consent in (
        ("ada", "acme", "given"), ("old-ada", "acme", "withdrawn"), ("bob", "beta", "given"),
        ("held", "beta", "given"), ("eve", "zeta", "given"), ("joe", "iota", None),
        ("gone", "psi", "given"),
    ):  # fmt: skip
        company(engine, customer, name, consent)
    engine.forget("gone")
    asked = ["ada", "bob", "eve", "joe", "gone"]
    bars: dict[str, Any] = {"held_out": ["held"], "withdrew": ["old-ada"], **OF_ACCOUNTS}
    found = build_audience(engine, asked, LINKEDIN, **bars)
    assert [row[0] for row in found.rows] == ["zeta"]
    left = {reason: count for reason, count in found.left_out.items() if count}
    assert left == {"shared": 2, "no_consent": 1, "forgotten": 1}
    # by its domain alone, whatever it is called
    told(engine, "held", 1, account="Eta", website="www.ZETA.example")
    found = build_audience(engine, asked, LINKEDIN, **bars)
    assert [row[0] for row in found.rows] == ["beta"]
    suppressed = build_audience(
        engine, asked, LINKEDIN, consent="unless-withdrawn", withdrew=["old-ada"], **OF_ACCOUNTS
    )
    assert [row[0] for row in suppressed.rows] == ["beta", "iota", "zeta"]


def test_what_is_no_field_of_a_company_is_refused(engine):
    with pytest.raises(UsageError, match="write company, website"):
        build_audience(engine, [], LINKEDIN, traits={"name": "account"})
    with pytest.raises(UsageError, match="Name is personal"):
        build_audience(engine, [], LINKEDIN, traits={"company": "Name"})
    with pytest.raises(UsageError, match="people have none"):
        build_audience(engine, [], GENERIC, traits={"company": "account"})


STATES = st.lists(st.sampled_from(["consent_given", "consent_withdrawn"]), max_size=3)


@given(st.lists(st.tuples(STATES, st.booleans(), st.integers(0, 3)), min_size=1, max_size=6))
def test_counts_are_those_of_a_plain_reading(made):
    """Nobody twice, nobody lost; rows are of members alone."""
    with Bowtie.open("memory://") as engine:
        held, keys = set(), []
        for number, (consents, holdout, address) in enumerate(made):
            key = f"c{number}"
            keys.append(key)
            if address:
                told(engine, key, email=f"a{address}@example.org")
            else:
                told(engine, key, plan="pro")
            for day, what in enumerate(consents):
                said(engine, key, what, day)
            if holdout:
                held.add(key)
        barred = {
            f"a{address}@example.org"
            for number, (consents, holdout, address) in enumerate(made)
            if address and (holdout or (consents and consents[-1] == "consent_withdrawn"))
        }
        members = {
            key: f"a{address}@example.org"
            for key, (consents, holdout, address) in zip(keys, made, strict=True)
            if address and not holdout and consents and consents[-1] == "consent_given"
            if f"a{address}@example.org" not in barred
        }
        found = build_audience(engine, keys, GENERIC, held_out=held)
        assert found.members == len(members)
        assert {email for email, _ in found.rows} == set(members.values())
        assert len(found.rows) == len(set(found.rows))
        assert found.asked == found.members + sum(found.left_out.values())
