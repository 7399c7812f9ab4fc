"""Messages go out at least once, signed, with one id each: against a real server, on each store."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bowtie import Bowtie
from bowtie.errors import Conflict, SealedKeyMissing, StoreOlder, UnknownName, UsageError
from bowtie.events import Retracted
from bowtie.outbox import (
    CrossingRule,
    Delivered,
    Endpoint,
    Schedule,
    Scored,
    Sender,
    add_endpoint,
    counted_by_state,
    deliver,
    derive_messages,
    drop_messages,
    endpoint_named,
    endpoints,
    follow_outbox,
    messages,
    note_scores,
    remove_endpoint,
    retry_messages,
    rotate_secret,
    secret_place,
    secrets_of,
    start_endpoint,
    try_endpoint,
)
from bowtie.outbox.secrets import secret_variable
from bowtie.profiles import publish_profile
from bowtie.times import now_micros

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = 1_000_000


class Receiver:
    """An HTTP server of this process that keeps what it was sent, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        #: what to answer, one after the other, the last one for ever: a status with headers
        self.answers: list[tuple[int, dict[str, str]]] = [(204, {})]
        #: called while a request waits for its answer
        self.meanwhile: Callable[[], object] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((headers, body))
                answers = receiver.answers
                status, more = answers.pop(0) if len(answers) > 1 else answers[0]
                receiver.meanwhile()
                if status == 0:  # hang up without a word
                    return
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=geheim"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def bodies(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def sender() -> Iterator[Sender]:
    with Sender(timeout=5) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is to be, whose secrets have a place."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'journeys.db'}"


def published(engine: Bowtie, name: str = "lookalike", version: int = 1) -> None:
    publish_profile(
        engine,
        f'name = "{name}"\nversion = {version}\nstarts_on = 2026-01-01\nholdout = "0.2"\n'
        '[[traits]]\ntrait = "multi_site"\nlevel = "true"\n',
    )


def hooked(engine: Bowtie, receiver: Receiver, name: str = "crm") -> Endpoint:
    return add_endpoint(engine, receiver.url, ["profile_published"], name=name)


def later(seconds: float) -> Callable[[], int]:
    return lambda: now_micros() + round(seconds * SECOND)


def ready(engine: Bowtie, receiver: Receiver, many: int = 1) -> Endpoint:
    """An endpoint for which messages wait."""
    endpoint = hooked(engine, receiver)
    for version in range(1, many + 1):
        published(engine, version=version)
    assert derive_messages(engine) == many
    return endpoint


def test_a_published_profile_is_told_once_signed_as_the_specification_says(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    published(engine, "before")
    hooked(engine, receiver)
    published(engine)
    assert derive_messages(engine) == 1
    assert derive_messages(engine) == 0
    done = deliver(engine, sender)
    assert (done.delivered, done.failed, done.dead) == (1, 0, 0)
    assert deliver(engine, sender).attempts == 0

    ((headers, body),) = receiver.got
    (profile,) = engine.documents("profile", "lookalike")
    told = Webhook(secrets_of(engine.store, "crm")[0]).verify(body, headers)
    assert told == {
        "type": "profile.published",
        "timestamp": told["timestamp"],
        "data": {
            "profile": "lookalike",
            "version": "1",
            "sha256": profile.sha256,
            "position": profile.position,
        },
    }
    assert headers["webhook-id"] == messages(engine)[0].id
    assert headers["webhook-signature"].startswith("v1,")
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets_of(engine.store, "crm")[0]).verify(body + " ", headers)
    assert counted_by_state(engine) == {"waiting": 0, "delivered": 1, "dead": 0}


def test_signatures_are_those_of_the_specification() -> None:
    """The example of the reference implementation's README and of its tests."""
    from bowtie.outbox.sending import signed

    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_what_was_retracted_before_it_was_told_is_not_told(
    engine: Bowtie, receiver: Receiver
) -> None:
    hooked(engine, receiver)
    published(engine)
    (event,) = engine.events()
    engine.record("lookalike", Retracted(of_source=event.source, of_id=event.id), kind="profile")
    assert derive_messages(engine) == 0


def test_two_processes_that_make_messages_at_once_make_each_once(
    engine: Bowtie, store_url: str, receiver: Receiver
) -> None:
    hooked(engine, receiver)
    for version in range(1, 6):
        published(engine, version=version)
    with Bowtie.open(store_url) as other:
        threads = [threading.Thread(target=derive_messages, args=(one,)) for one in (engine, other)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert [json.loads(one.body)["data"]["version"] for one in messages(engine)] == list("12345")


def test_a_failure_is_tried_again_later_with_the_same_id(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver)
    receiver.answers = [(500, {}), (0, {}), (204, {})]
    assert deliver(engine, sender).failed == 1
    assert deliver(engine, sender).attempts == 0  # it isn't due
    (waiting,) = messages(engine)
    assert (waiting.state, waiting.attempts, waiting.reason) == ("waiting", 1, "answered 500")
    assert 3 < (waiting.due_at - waiting.created_at).total_seconds() < 10

    assert deliver(engine, sender, clock=later(60)).failed == 1
    (waiting,) = messages(engine)
    assert waiting.reason is not None
    assert waiting.reason.startswith("no connection")
    assert deliver(engine, sender, clock=later(3600)).delivered == 1
    assert len(receiver.got) == 3
    assert len(set(receiver.ids)) == 1


def test_after_so_many_failures_it_is_given_up_and_can_be_tried_again(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver)
    receiver.answers = [(500, {}), (503, {}), (204, {})]
    schedule = Schedule(attempts=2)
    assert deliver(engine, sender, schedule).failed == 1
    assert deliver(engine, sender, schedule, clock=later(60)).dead == 1
    assert deliver(engine, sender, schedule, clock=later(1e6)).attempts == 0
    (dead,) = messages(engine, "dead")
    assert (dead.attempts, dead.reason) == (2, "answered 503")
    assert dead.ended_at is not None

    assert retry_messages(engine) == 1
    assert deliver(engine, sender, schedule).delivered == 1
    assert set(receiver.ids) == {dead.id}
    with pytest.raises(UsageError, match="was delivered"):
        retry_messages(engine, dead.id)


def test_who_is_gone_is_told_nothing_more_until_started_again(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver, 2)
    receiver.answers = [(410, {}), (204, {})]
    done = deliver(engine, sender)
    assert (done.dead, done.stopped) == (1, 1)
    assert deliver(engine, sender, clock=later(1e6)).attempts == 0
    assert endpoint_named(engine, "crm").stopped == "answered 410: it wants no more messages"
    assert counted_by_state(engine) == {"waiting": 1, "delivered": 0, "dead": 1}
    published(engine, version=3)
    assert derive_messages(engine) == 1  # nothing is lost meanwhile

    start_endpoint(engine, "crm")
    assert deliver(engine, sender).delivered == 2


def test_a_redirect_is_not_followed(engine: Bowtie, receiver: Receiver, sender: Sender) -> None:
    other = Receiver()
    try:
        ready(engine, receiver)
        receiver.answers = [(307, {"location": other.url})]
        assert deliver(engine, sender).failed == 1
        assert other.got == []
        assert "redirects are not followed" in str(messages(engine)[0].reason)
    finally:
        other.close()


def test_who_is_slow_or_away_fails_and_holds_up_nobody_else(
    engine: Bowtie, receiver: Receiver
) -> None:
    slow = Receiver()
    slow.meanwhile = lambda: time.sleep(0.6)
    try:
        add_endpoint(engine, slow.url, ["profile_published"], name="a-slow")
        add_endpoint(engine, "http://127.0.0.1:1/", ["profile_published"], name="b-away")
        hooked(engine, receiver)
        published(engine, version=1)
        published(engine, version=2)
        assert derive_messages(engine) == 6
        with Sender(timeout=0.2) as sender:
            done = deliver(engine, sender)
        assert (done.delivered, done.failed) == (2, 2)
        reasons = {one.endpoint: one.reason for one in messages(engine) if one.reason}
        assert reasons["a-slow"] == "no answer within 0.2 seconds"
        assert reasons["b-away"].startswith("no connection")
        assert "geheim" not in str(reasons)
    finally:
        slow.close()


def test_an_answer_that_comes_in_drops_is_none() -> None:
    """Or whoever sends a header every few seconds would hold up everybody for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(40):
                    connection.sendall(b"x: y\r\n")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        began = time.monotonic()
        with Sender(timeout=0.2) as sender:
            answered = sender.send(url, ["whsec_" + "A" * 44], "msg_1", "{}")
        assert (answered.taken, answered.reason) == (False, "no answer within 0.2 seconds")
        assert time.monotonic() - began < 1
        thread.join()


def test_why_nobody_answered_is_told_without_the_address(receiver: Receiver) -> None:
    receiver.answers = [(0, {})]
    with Sender(timeout=5) as sender, socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
        closed.close()
        said = {
            url: sender.send(url, ["whsec_" + "A" * 44], "msg_1", "{}").reason
            for url in (
                receiver.url.replace("http:", "https:"),
                f"http://127.0.0.1:{port}/?token=geheim",
                "http://nobody.invalid/?token=geheim",
                receiver.url,
            )
        }
    assert list(said.values()) == [
        "no safe connection: it does not answer in TLS",
        "no connection: nothing listens there",
        "no connection: its host is not known",
        "no connection: it was broken off, or what came was no HTTP",
    ]


@pytest.mark.parametrize("asked", ["7200", "a date"])
def test_what_a_receiver_asks_for_is_waited_for(
    engine: Bowtie, receiver: Receiver, sender: Sender, asked: str
) -> None:
    ready(engine, receiver)
    when = datetime.fromtimestamp(time.time() + 7200, UTC)
    text = asked if asked.isdigit() else format_datetime(when, usegmt=True)
    receiver.answers = [(429, {"retry-after": text})]
    deliver(engine, sender)
    (waiting,) = messages(engine)
    assert 7100 < (waiting.due_at - datetime.now(UTC)).total_seconds() < 7300


def test_a_crash_between_sending_and_noting_sends_it_again_with_the_same_id(
    engine: Bowtie, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bowtie.outbox import delivering

    ready(engine, receiver)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(delivering, "_note", crash)
        deliver(engine, sender)
    assert len(receiver.got) == 1
    assert deliver(engine, sender).attempts == 0  # the dead process has it for a while
    assert deliver(engine, sender, clock=later(40)).delivered == 1
    assert receiver.ids[0] == receiver.ids[1]
    assert counted_by_state(engine)["delivered"] == 1


def test_two_deliverers_at_once_lose_nothing_and_send_each_under_one_id(
    engine: Bowtie, store_url: str, receiver: Receiver
) -> None:
    ready(engine, receiver, 12)
    receiver.meanwhile = lambda: time.sleep(0.01)

    def run(one: Bowtie) -> None:
        with Sender(timeout=5) as sender:
            deliver(one, sender)

    with Bowtie.open(store_url) as other:
        threads = [threading.Thread(target=run, args=(one,)) for one in (engine, other)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    # no lease ran out, so none was even sent twice
    assert sorted(receiver.ids) == sorted(one.id for one in messages(engine, "delivered"))
    assert len(receiver.ids) == 12


def test_of_two_that_send_the_same_taken_is_taken(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    """The first takes longer than its time; the second succeeds meanwhile; the first fails."""
    ready(engine, receiver)
    receiver.answers = [(500, {}), (204, {})]

    def second() -> None:
        receiver.meanwhile = lambda: None
        with Sender(timeout=5) as other:
            assert deliver(engine, other, clock=later(60)).delivered == 1

    receiver.meanwhile = second
    assert deliver(engine, sender).attempts == 0  # it had nothing more to say
    assert counted_by_state(engine) == {"waiting": 0, "delivered": 1, "dead": 0}
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 2


def test_messages_go_out_in_the_order_they_were_made(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver, 4)
    assert deliver(engine, sender).delivered == 4
    assert [one["data"]["version"] for one in receiver.bodies] == list("1234")


def test_following_delivers_what_is_published_meanwhile(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    hooked(engine, receiver)
    stop, rounds = threading.Event(), list[Delivered]()
    receiver.meanwhile = stop.set
    publishing = threading.Timer(0.1, published, (engine,))
    publishing.start()
    done = follow_outbox(engine, sender, stop=stop, poll=0.1, on_round=rounds.append)
    publishing.join()
    assert done.delivered == 1
    assert len(rounds) == 1
    assert receiver.bodies[0]["data"]["profile"] == "lookalike"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://hooks.example.org/x", "--insecure"),
        ("ftp://hooks.example.org/x", "write https://HOST/PATH"),
        ("https://", "is no address"),
        ("https://a b/", "is no address"),
        ("https://me:pw@hooks.example.org/", "without user"),
    ],
)
def test_an_address_must_be_one_and_safe(engine: Bowtie, url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        add_endpoint(engine, url, ["profile_published"])
    assert endpoints(engine) == []


def test_endpoints_are_added_listed_tried_and_removed(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    endpoint = ready(engine, receiver)
    insecure = add_endpoint(
        engine, "http://hooks.example.org/x", ["profile_published"], insecure=True
    )
    assert insecure.name == "hooks-example-org"
    assert "geheim" not in endpoint.shown
    with pytest.raises(Conflict, match="already"):
        hooked(engine, receiver)
    with pytest.raises(UsageError, match="no name"):
        hooked(engine, receiver, "No Name")
    with pytest.raises(UsageError, match="threshold"):
        add_endpoint(engine, receiver.url, ["prospect_crossed"], name="x")
    assert [one.name for one in endpoints(engine)] == ["crm", "hooks-example-org"]

    assert try_endpoint(engine, endpoint, sender).taken
    ((headers, body),) = receiver.got
    assert Webhook(secrets_of(engine.store, "crm")[0]).verify(body, headers)["type"] == (
        "webhook.test"
    )

    place = secret_place(engine.store, "crm")
    assert place is not None
    assert place.stat().st_mode & 0o077 == 0
    assert remove_endpoint(engine, "crm") == 1
    assert not place.exists()
    assert messages(engine) == []
    with pytest.raises(UnknownName, match="hooks-example-org"):
        endpoint_named(engine, "crm")


def test_the_secret_is_in_no_table_and_can_be_changed_without_a_gap(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver)
    (old,) = secrets_of(engine.store, "crm")
    new, second = rotate_secret(engine.store, "crm")
    assert second == old
    deliver(engine, sender)
    ((headers, body),) = receiver.got
    for one in (old, new):
        assert Webhook(one).verify(body, headers)
    tables = ("bowtie_meta", "bowtie_endpoints", "bowtie_outbox")
    everything = str([engine.store.rows(f"SELECT * FROM {one}") for one in tables])
    assert not any(one.removeprefix("whsec_") in everything for one in (old, new))


def test_without_its_secret_nothing_is_sent_and_nothing_lost(
    engine: Bowtie, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked(engine, receiver, "other")
    hooked(engine, receiver)
    published(engine)
    assert derive_messages(engine) == 2
    place = secret_place(engine.store, "crm")
    assert place is not None
    text = place.read_text()
    place.unlink()
    with pytest.raises(SealedKeyMissing, match="BOWTIE_WEBHOOK_SECRET_CRM"):
        deliver(engine, sender)
    assert len(receiver.got) == 1  # the other one's
    assert counted_by_state(engine, "crm")["waiting"] == 1
    monkeypatch.setenv(secret_variable("crm"), text.strip())
    assert deliver(engine, sender).delivered == 1


def test_messages_for_a_webhook_that_is_not_there_are_not_none(
    engine: Bowtie, receiver: Receiver
) -> None:
    ready(engine, receiver)
    asked: list[Callable[[], object]] = [
        lambda: messages(engine, endpoint="crn"),
        lambda: counted_by_state(engine, "crn"),
        lambda: retry_messages(engine, endpoint="crn"),
        lambda: drop_messages(engine, state="waiting", endpoint="crn"),
    ]
    for one in asked:
        with pytest.raises(UnknownName, match="there is crm"):
            one()


def test_messages_are_dropped_only_as_they_are_named(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    ready(engine, receiver, 3)
    receiver.answers = [(204, {}), (500, {})]
    deliver(engine, sender)
    first, second, third = messages(engine)
    with pytest.raises(UsageError, match="which messages"):
        drop_messages(engine)
    with pytest.raises(UnknownName, match="bowtie outbox list"):
        drop_messages(engine, "msg_nothing")
    assert drop_messages(engine, state="delivered", before=first.created_at) == 0
    assert drop_messages(engine, state="delivered") == 1
    assert drop_messages(engine, third.id) == 1
    assert [one.id for one in messages(engine)] == [second.id]


def scores(**given: float) -> list[Scored]:
    return [
        Scored(name, value, {"customer": name, "score": value}) for name, value in given.items()
    ]


def test_a_crossing_is_told_once_until_the_prospect_fell_well_below(
    engine: Bowtie, receiver: Receiver, sender: Sender
) -> None:
    add_endpoint(engine, receiver.url, ["prospect_crossed"], name="crm", rule=CrossingRule(0.5))

    def note(position: int, **given: float) -> tuple[int, int]:
        noted = note_scores(engine, "crm", position, NOW, scores(**given))
        return noted.crossed, noted.above

    assert note(1, a=0.9, b=0.1) == (0, 1)  # the first: who is above has not crossed
    assert note(2, a=0.9, b=0.5) == (1, 2)
    assert note(3, a=0.9, b=0.45, c=0.7) == (1, 3)  # b trembles, c is new
    assert note(4, a=0.9, b=0.39, c=0.7) == (0, 2)
    assert note(5, a=0.9, b=0.6) == (1, 2)  # b again; c is no prospect any more
    assert note(6, a=0.9, b=0.6, c=0.8) == (1, 3)
    assert note_scores(engine, "crm", 6, NOW, scores(d=0.9)).stale
    assert note_scores(engine, "crm", 3, NOW, scores(d=0.9)).stale
    assert deliver(engine, sender).delivered == 4
    assert [one["data"]["customer"] for one in receiver.bodies] == ["b", "c", "b", "c"]
    assert {one["type"] for one in receiver.bodies} == {"prospect.crossed"}
    assert len(set(receiver.ids)) == 4


def test_scores_of_a_later_moment_are_noted_where_nothing_was_recorded(engine: Bowtie) -> None:
    url = "http://localhost/hook"
    add_endpoint(engine, url, ["prospect_crossed"], name="crm", rule=CrossingRule(0.5))
    assert endpoint_named(engine, "crm").scored_as_of is None
    later = NOW + timedelta(days=1)
    assert note_scores(engine, "crm", 4, NOW, scores(a=0.4)).first
    assert endpoint_named(engine, "crm").scored_as_of == NOW
    assert note_scores(engine, "crm", 4, NOW, scores(a=0.9)).stale
    assert note_scores(engine, "crm", 4, later, scores(a=0.6)).crossed == 1
    assert note_scores(engine, "crm", 4, later, scores(a=0.9)).stale  # another process, too late
    assert note_scores(engine, "crm", 4, later + timedelta(days=1), scores(a=0.7)).crossed == 0
    assert note_scores(engine, "crm", 5, NOW, scores(a=0.7)) == (0, 1, False, False)
    assert endpoint_named(engine, "crm").scored_as_of == NOW
    assert counted_by_state(engine)["waiting"] == 1


def test_an_endpoint_added_again_under_its_name_has_other_ids(
    engine: Bowtie, receiver: Receiver
) -> None:
    ids = []
    for _ in range(2):
        add_endpoint(engine, receiver.url, ["prospect_crossed"], name="crm", rule=CrossingRule(0.5))
        note_scores(engine, "crm", 1, NOW, [])
        note_scores(engine, "crm", 2, NOW, scores(a=0.9))
        ids += [one.id for one in messages(engine)]
        remove_endpoint(engine, "crm")
    assert len(set(ids)) == 2


@pytest.mark.parametrize("wrong", [{"least": 0}, {"least": 1.5}, {"least": 0.5, "again": 0.6}])
def test_a_threshold_must_be_a_chance(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        CrossingRule(**wrong)  # type: ignore[arg-type]  # the values are numbers


def older(engine: Bowtie, url: str, version: int) -> None:
    """As a store of the second version, without the outbox; or of the third."""
    with engine.store.writing() as tx:
        if version == 2:
            for table in ("bowtie_endpoints", "bowtie_outbox", "bowtie_crossings"):
                tx.run(f"DROP TABLE {table}")
        else:
            tx.run("ALTER TABLE bowtie_endpoints DROP COLUMN scored_as_of")
        if url.startswith("sqlite"):
            tx.run(f"PRAGMA user_version={version}")
        else:
            tx.run(f"UPDATE bowtie_meta SET value = '{version}' WHERE name = 'version'")


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_of_a_version_before_is_read_and_upgraded(
    engine: Bowtie, store_url: str, receiver: Receiver, sender: Sender, version: int
) -> None:
    published(engine, "before")
    older(engine, store_url, version)
    with Bowtie.open(store_url) as opened:
        assert endpoints(opened) == []
        assert len(opened.documents("profile")) == 1
        assert deliver(opened, sender).attempts == 0
        with pytest.raises(StoreOlder, match="bowtie init"):
            messages(opened)
        with pytest.raises(StoreOlder, match="bowtie init"):
            published(opened, version=2)
        opened.init()
        assert opened.store.version == 4
        assert not opened.store.upgrade()
        ready(opened, receiver)
        assert deliver(opened, sender).delivered == 1
