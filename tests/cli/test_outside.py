"""``bowtie audience``, ``bowtie webhook`` and ``bowtie outbox``."""

from __future__ import annotations

import csv
import hashlib
import http.server
import json
import shutil
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bowtie import Bowtie
from bowtie.outbox import endpoint_named
from bowtie.outbox.crossings import Noted
from bowtie_cli.main import main
from bowtie_projections import Views
from bowtie_projections.crossings import note_crossings
from tests.cli.conftest import line

PROFILE = """
name = "lookalike"
version = 1
starts_on = 2024-01-01
ends_on = 2026-12-31
prospects = "open"
holdout = "0.4"
[[traits]]
trait = "multi_site"
level = "true"
"""
#: With so few customers, wins are only learnt of a short time.
SOON = ("--within", "60d", "--score", "p_win")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo whose prospects were assigned, with its tables."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "lookalike.toml").write_text(PROFILE)
    store = ("--store", folder / "bowtie.db")
    for command in (
        ("demo", "--customers", "220", "--seed", "1", "-o", folder / "demo.jsonl"),
        ("ingest", folder / "demo.jsonl", *store),
        ("profile", "publish", folder / "lookalike.toml", *store),
        ("profile", "assign", "lookalike", "--as-of", "2026-06-30", *store),
    ):
        done = CliRunner().invoke(main, [str(one) for one in command])
        assert done.exit_code in {0, 3}, done.output
    return folder


@pytest.fixture
def store(made: Path, folder: Path) -> Path:
    """A copy of it, where the commands look for it."""
    for one in made.glob("bowtie*"):
        shutil.copy(one, folder / one.name)
    return folder


class Hook:
    """Takes what comes."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.status = 204
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.got.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://localhost:{self.server.server_port}/hook?token=geheim"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.close()


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def addresses(made: Path) -> dict[str, str]:
    """Of each hash of an address the customer, as the log has them."""
    found = {}
    for text in (made / "demo.jsonl").read_text().splitlines():
        try:
            event = json.loads(text)
        except ValueError:
            continue
        email = (event.get("data") or {}).get("traits", {}).get("email")
        if event.get("type") == "bowtie.traits_observed" and email:
            found[hashlib.sha256(email.encode()).hexdigest()] = event["subject"]
    return found


ALL = ("--consent", "unless-withdrawn")


def test_who_is_held_out_is_in_no_audience_and_stands_in_the_suppression(run, made, store):
    told = run("audience", "--profile", "lookalike", *ALL, "--for", "meta", "-o", "reach.csv")
    run("audience", "--profile", "lookalike", "--suppress", "--for", "meta", "-o", "not.csv")
    run("audience", "--where", "entered!=commitment", *ALL, "-o", "open.csv")
    reach, kept = ({row["email"] for row in rows(Path(f"{one}.csv"))} for one in ("reach", "not"))
    everybody = {row["email_sha256"] for row in rows(Path("open.csv"))}
    arms = run("sql", "SELECT customer, arm FROM targeted", "--format", "json").json["rows"]
    holdout = {row["customer"] for row in arms if row["arm"] == "holdout"}
    known = addresses(made)
    assert reach
    assert kept
    assert {known[one] for one in reach} <= {row["customer"] for row in arms} - holdout
    assert {known[one] for one in kept} <= holdout
    assert not kept & (reach | everybody)
    assert reach <= everybody
    assert "@" not in told.out + told.err


def test_consent_must_be_on_record_unless_it_is_said_otherwise(run, store):
    told = run("audience", "--tier", "high", "--horizon", "90d", "--json").json
    assert (told["members"], told["no_consent"]) == (0, told["asked"])
    assert told["asked"] > 0
    assert "Nothing is written" in told["notes"][-1]
    told = run("audience", "--tier", "high", "--horizon", "90d", *ALL, "--json").json
    assert told["members"] == told["emails"] > 0
    assert told["members"] + told["no_identifier"] == told["asked"]
    most = run("audience", "--tier", "high", "--horizon", "90d", "--top", "0.5", "--json").json
    assert most["asked"] > 2 * told["asked"]
    told = run("audience", "--lost", "--suppress", "--json").json
    assert (told["kind"], told["no_consent"]) == ("suppression", 0)
    assert told["members"] > 0


def test_companies_are_listed_by_the_traits_named(run, store):
    paying = "SELECT customer FROM journeys WHERE commitment_at IS NOT NULL AND lost_at IS NULL"
    key = run("sql", paying, "--format", "json").json["rows"][0]["customer"]
    run("record", key, "traits_observed", "traits.account=Acme", "traits.site=www.acme.example")
    asked = ("audience", "--customers", *ALL, "--companies", "--for", "linkedin",
             "--trait", "company=account", "--trait", "website=site")  # fmt: skip
    told = run(*asked, "-o", "companies.csv", "--json").json
    assert (told["members"], told["companies"], told["hashed"]) == (1, 1, False)
    (row,) = rows(Path("companies.csv"))
    assert (row["companyname"], row["companywebsite"]) == ("Acme", "acme.example")
    assert any("asks for 300 or more" in note for note in told["notes"])
    assert "by 1 company." in told["sentence"]


def test_forgotten_people_leave_the_next_file(run, made, store):
    run("audience", "--customers", *ALL, "-o", "before.json")
    known = addresses(made)
    before = [one["email_sha256"] for one in json.loads(Path("before.json").read_text())]
    run("forget", known[before[0]], "--yes")
    told = run("audience", "--customers", *ALL, "-o", "after.json", "--json").json
    after = [one["email_sha256"] for one in json.loads(Path("after.json").read_text())]
    assert sorted([*after, before[0]]) == sorted(before)
    assert told["forgotten"] == 1


def test_prospects_are_taken_from_the_best_on(run, made, store):
    best = run("prospects", "--top", "0", "--within", "60d", "--json").json["rows"]
    least = best[9]["p_win"]
    asked = ("audience", "--prospects", "--within", "60d", *ALL)
    run(*asked, "--top", "5", "-o", "five.csv")
    told = run(*asked, "--least", str(least), "--json").json
    assert told["asked"] == sum(row["p_win"] >= least for row in best)
    known = addresses(made)
    five = {known[row["email_sha256"]] for row in rows(Path("five.csv"))}
    assert five <= {row["customer"] for row in best[:5]}
    assert five


MISTAKES = [
    ((), "say who"),
    (("--lost", "--customers"), "--customers, --lost: say one"),
    (("--lost", "--companies", "--for", "google"), "google takes no list of companies"),
    (("--lost", "--companies", "--plain"), "leave out --plain"),
    (("--lost", "--companies", "--trait", "website"), "write FIELD=TRAIT"),
    (("--lost", "--companies", "--trait", "name=x"), "no field of a company"),
    (("--lost", "--trait", "company=x"), "people have none"),
    (("--lost", "--top", "3"), "--top goes with"),
    (("--lost", "--least", "0.3"), "--least goes with --prospects"),
    (("--lost", "--horizon", "90d"), "--horizon goes with --prospects or --tier"),
    (("--prospects",), "the best so many"),
    (("--prospects", "--top", "0.1"), "such as 500"),
    (("--prospects", "--least", "2"), "from 0 to 1"),
    (("--prospects", "--least", "nan"), "from 0 to 1"),
    (("--tier", "high", "--least", "0.3"), "--least goes with --prospects"),
    (("--tier", "high", "--top", "5"), "a share between 0 and 1"),
    (("--lost", "--currency", "EUR"), "--currency goes with --prospects or --tier"),
    (("--tier", "gold"), "there is high, A, B, C, none"),
    (("--profile", "nobody"), "bowtie profile list"),
    (("--lost", "-o", "x.xlsx"), ".csv or .json"),
    (("--lost", "--calling-code", "+49"), "calling code"),
    (("--segment", "nowhere"), "nowhere"),
]


def test_mistakes_are_said_in_one_line(run, store):
    for asked, problem in MISTAKES:
        assert problem in run("audience", *asked, code=2).err
    assert not list(Path().glob("x.*"))


def test_a_webhook_from_its_adding_to_its_end(run, store, hook):
    assert "Messages go nowhere yet" in run("webhook", "list").out
    both = ("--on", "profile_published", "--on", "prospect_crossed", "--least", "0.2", *SOON)
    added = run("webhook", "add", hook.url, "--name", "crm", *both)
    assert "geheim" not in added.out
    assert "whsec_" not in added.out
    run("webhook", "test", "crm")
    assert hook.got.pop()["type"] == "webhook.test"

    said = run("outbox", "deliver")
    assert "the first scores" in said.err
    assert hook.got == []  # what was published before is not told
    Path("2.toml").write_text(PROFILE.replace("version = 1", "version = 2"))
    run("profile", "publish", "2.toml")
    hook.status = 500
    assert run("outbox", "deliver", "--json").json["failed"] == 1
    listed = run("outbox", "list", "--state", "waiting", "--body", "--json").json
    assert listed["outbox"] == {"waiting": 1, "delivered": 0, "dead": 0}
    (message,) = listed["messages"]
    assert (message["reason"], message["attempts"]) == ("answered 500", 1)
    run("outbox", "retry", message["message"])
    hook.status = 204
    assert run("outbox", "deliver", "--json").json["delivered"] == 1
    assert [one["data"]["version"] for one in hook.got] == ["2", "2"]
    run("outbox", "drop", "--state", "delivered")
    assert run("outbox", "list", "--json").json["messages"] == []
    run("webhook", "rotate", "crm")
    run("webhook", "start", "crm")
    run("webhook", "remove", "crm")
    assert "no webhook crm" in run("webhook", "test", "crm", code=2).error


def test_prospects_that_cross_are_told_but_for_those_held_out(run, store, hook):
    """Everybody falls below, then stands above again: by a threshold that all reach."""
    rule = ("--on", "prospect_crossed", "--least", "0.001", *SOON)
    run("webhook", "add", hook.url, "--name", "crm", *rule)
    run("outbox", "deliver")
    assert hook.got == []
    Path("new.jsonl").write_text(
        "\n".join(
            line(f"n{n}", "noted", f"new-{n}", "2026-06-29T10:00:00Z", name="lead_created")
            for n in range(3)
        )
        + "\n"
        + line("h1", "targeted", "new-2", "2026-06-29T11:00:00Z", profile="other", version="1",
               arm="holdout")
        + "\n"
    )  # fmt: skip
    run("ingest", "new.jsonl")
    assert "2 prospects crossed" in run("outbox", "deliver").err
    assert sorted(one["data"]["customer"] for one in hook.got) == ["new-0", "new-1"]
    told = hook.got[0]["data"]
    assert told["value"] == told["p_win"] >= told["least"]
    run("ingest", "new.jsonl")
    run("outbox", "deliver")
    assert len(hook.got) == 2


def test_time_alone_asks_for_scores_again_until_the_log_is_silent(run, store):
    run("webhook", "add", "http://localhost:9/", "--on", "prospect_crossed", "--least", "0.2",
        "--name", "crm", *SOON)  # fmt: skip

    def scored(when: datetime) -> datetime | None:
        with Bowtie.open("sqlite:///bowtie.db") as engine, Views.open(engine) as views:
            noted = note_crossings(views, when)
            as_of = endpoint_named(engine, "crm").scored_as_of
        if not noted:
            return None
        told = noted["crm"]
        assert isinstance(told, Noted)
        assert not told.stale
        return as_of

    newest = datetime(2026, 6, 30, 23, 59, 59, 999999, UTC)  # when the profile was assigned
    assert scored(newest) == newest
    assert scored(newest + timedelta(hours=23)) is None
    assert scored(newest + timedelta(days=1)) == newest + timedelta(days=1)
    assert scored(newest + timedelta(days=100)) == newest + timedelta(days=7)
    assert scored(newest + timedelta(days=200)) is None


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("webhook", "add", "http://example.org/", "--on", "profile_published"), "--insecure"),
        (("webhook", "add", "https://example.org/", "--on", "prospect_crossed"), "--least 0.3"),
        (("webhook", "add", "https://example.org/"), "--on"),
        (("webhook", "add", "https://example.org/", "--on", "prospect_crossed", "--least", "30"), "over 0 and up to 1"),
        (("webhook", "add", "https://example.org/", "--on", "prospect_crossed", "--least", "0.3", "--policy", "no"), "no"),
        (("webhook", "remove", "crm"), "no webhook crm"),
        (("outbox", "retry"), "--dead"),
        (("outbox", "retry", "msg_x"), "no message msg_x"),
        (("outbox", "drop"), "--state"),
        (("outbox", "deliver", "--score-every", "soon"), "soon"),
    ],
)  # fmt: skip
def test_mistakes_with_messages_are_said_in_one_line(run, folder, asked, problem):
    run("init")
    assert problem in run(*asked, code=2).err


def test_without_the_extra_it_says_how_to_have_it(run, folder, monkeypatch):
    run("init")
    run("webhook", "add", "https://example.org/", "--on", "profile_published")
    monkeypatch.setitem(sys.modules, "standardwebhooks", None)
    assert "pip install 'bowtie-journeys[webhooks]'" in run("outbox", "deliver", code=2).error


def test_scores_that_fail_hold_up_no_message(run, folder, hook, monkeypatch):
    run("init")
    both = ("--on", "profile_published", "--on", "prospect_crossed", "--least", "0.2")
    run("webhook", "add", hook.url, "--name", "crm", *both)
    Path("lookalike.toml").write_text(PROFILE)
    run("profile", "publish", "lookalike.toml")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "pip install 'bowtie-journeys[models]'" in run("outbox", "deliver", code=2).err
    assert [one["type"] for one in hook.got] == ["profile.published"]
