"""The shop in examples/: its own rows and the journeys' events, together or not at all."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from bowtie import Bowtie
from bowtie.errors import StoreBusy, StreamConflict
from shop_app.__main__ import set_up
from shop_app.app import create_app
from shop_app.settings import Settings
from shop_app.shop import Shop
from shop_app.tables import CartItem, Customer, Order, Product
from tests.conftest import ROOT
from tests.postgres import with_query

KEYS = (f"key-{number}" for number in itertools.count())
ADA = {"email": "ada@example.org", "country": "DE", "channel": "newsletter"}


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request, tmp_path, monkeypatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = with_query(request.getfixturevalue("postgres_database"), schema="journeys")
        # where the master key of a store without a file is kept
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    settings = Settings(database=url)
    set_up(settings)
    return settings


@pytest.fixture
def client(settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def shop(client) -> Shop:
    return shop_of(client)


def shop_of(client) -> Shop:
    return client.app.state.shop


def key(name: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": name or next(KEYS)}


def sign_up(client) -> int:
    answer = client.post("/customers", json=ADA, headers=key())
    assert answer.status_code == 201, answer.text
    return answer.json()["customer"]


def order(client, customer: int, name: str | None = None, sku: str = "beans", quantity: int = 1):
    wanted = {"sku": sku, "quantity": quantity}
    return client.post(f"/customers/{customer}/orders", json=wanted, headers=key(name))


def counted(shop: Shop) -> dict[str, int]:
    """What is there, in the shop's tables and in the log."""
    tables = {"customers": Customer, "cart": CartItem, "orders": Order}
    with shop.readers() as session:
        rows = {
            name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, table in tables.items()
        }
        left = session.scalar(sa.select(sa.func.sum(Product.stock))) or 0
    return {**rows, "left": left, "events": shop.journeys.store.head()}


def entered(client, position: int) -> dict[str, int]:
    answer = client.get("/funnel", params={"position": position})
    assert answer.status_code == 200, answer.text
    return {row["stage"]: row["entered"] for row in answer.json()["rows"]}


def test_a_visit_from_the_first_touch_to_the_second_order(client):
    customer = sign_up(client)
    added = client.post(f"/customers/{customer}/cart", json={"sku": "beans"}, headers=key())
    assert added.status_code == 201
    first, second = order(client, customer), order(client, customer)
    assert (first.json()["welcome"], first.json()["amount"]["amount"]) == (True, "17.91")
    assert (second.json()["welcome"], second.json()["amount"]["amount"]) == (False, "19.90")

    journey = client.get(f"/customers/{customer}/journey").json()
    assert journey["stage"] == "commitment"
    assert [event["type"] for event in journey["events"]] == [
        "traits_observed",
        "touched",
        "noted",
        "order_placed",
        "order_placed",
    ]
    left = {one["sku"]: one["left"] for one in client.get("/products").json()}
    assert left == {"beans": 48, "grinder": 3}


def test_a_figure_covers_what_its_reader_has_just_written(client):
    for number in range(1, 4):
        position = order(client, sign_up(client)).json()["position"]
        assert entered(client, position)["commitment"] == number
    assert client.get("/health").json() == {"ok": True, "lag": {"events": 0, "seconds": 0.0}}


def test_a_request_sent_again_changes_nothing(client, shop):
    posts: list[tuple[str, dict]] = [
        ("/customers", ADA),
        ("/customers/1/cart", {"sku": "beans"}),
        ("/customers/1/orders", {"sku": "grinder", "quantity": 2}),
    ]
    for path, body in posts:
        name = key()
        first = client.post(path, json=body, headers=name)
        there = counted(shop)
        again = client.post(path, json=body, headers=name)
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json()
        assert counted(shop) == there


def test_the_key_of_the_request_is_the_id_of_the_event(client, shop):
    customer = sign_up(client)
    order(client, customer, "the key")
    (event,) = (one for one in shop.journeys.events() if one.type == "order_placed")
    assert (event.source, event.id) == ("shop", "the key")


def test_a_key_that_comes_with_another_request_is_refused(client, shop):
    customer = sign_up(client)
    order(client, customer, "mine")
    there = counted(shop)
    assert order(client, customer, "mine", quantity=2).status_code == 422
    # of another route: no row of the shop has this key, but an event does
    used = client.post(f"/customers/{customer}/cart", json={"sku": "beans"}, headers=key("mine"))
    assert used.status_code == 422
    assert "mine" in used.json()["problem"]
    assert counted(shop) == there


def test_two_requests_with_one_key_at_once_are_done_once(client, shop):
    customer = sign_up(client)
    before = counted(shop)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: order(client, customer, "once"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    there = counted(shop)
    assert there["orders"] - before["orders"] == there["events"] - before["events"] == 1
    assert before["left"] - there["left"] == 1


def test_of_many_first_orders_at_once_one_is_the_first(client, shop):
    customer = sign_up(client)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: order(client, customer), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4
    assert sum(answer.json()["welcome"] for answer in answers) == 1


def test_customers_who_come_at_once_all_get_in(client, shop):
    with ThreadPoolExecutor(8) as threads:
        customers = list(threads.map(lambda _: sign_up(client), range(24)))
    assert len(set(customers)) == 24
    assert counted(shop)["events"] == 48


def test_an_order_that_is_overtaken_decides_anew(client, shop, monkeypatch):
    customer = sign_up(client)
    read, reads = shop.journeys.journey, []

    def stale_at_first(*args):
        reads.append(read(*args))
        version = reads[-1].version - (len(reads) == 1)
        return dataclasses.replace(reads[-1], version=version)

    monkeypatch.setattr(shop.journeys, "journey", stale_at_first)
    assert order(client, customer).status_code == 201
    assert len(reads) == 2
    assert counted(shop)["orders"] == 1
    assert counted(shop)["left"] == 52


def test_an_order_that_is_overtaken_for_ever_is_a_conflict(client, shop, monkeypatch):
    customer = sign_up(client)
    before, read = counted(shop), shop.journeys.journey
    monkeypatch.setattr(
        shop.journeys, "journey", lambda name: dataclasses.replace(read(name), version=99)
    )
    assert order(client, customer).status_code == 409
    assert counted(shop) == before


@pytest.mark.parametrize("error", [RuntimeError("a bug"), StreamConflict("customer/x", "1", 2)])
def test_an_error_after_the_event_takes_back_both(client, shop, monkeypatch, error):
    customer = sign_up(client)
    before, record = counted(shop), shop.journeys.record

    def record_and_fail(*args, **how):
        record(*args, **how)
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(shop.journeys, "record", record_and_fail)
        assert order(client, customer).status_code >= 409
    assert counted(shop) == before
    assert order(client, customer).json()["welcome"] is True


def test_what_is_refused_leaves_nothing(client, shop):
    customer = sign_up(client)
    before = counted(shop)
    assert order(client, customer, sku="grinder", quantity=4).status_code == 409
    assert order(client, customer, sku="teapot").status_code == 404
    assert order(client, 99).status_code == 404
    assert order(client, customer, quantity=0).status_code == 422
    assert client.post(f"/customers/{customer}/orders", json={"sku": "beans"}).status_code == 422
    assert client.get("/customers/99/journey").status_code == 404
    assert counted(shop) == before


def test_a_writer_who_holds_the_store_makes_it_busy(client, shop, monkeypatch):
    def busy(*_, **__):
        raise StoreBusy("another writer has held the store all the while; try again")

    customer = sign_up(client)
    monkeypatch.setattr(shop.journeys, "record", busy)
    answer = order(client, customer)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


CRASH = """
import os, signal
from shop_app.settings import Settings
from shop_app.shop import Shop

shop = Shop(Settings.from_environment())
record = shop.journeys.record

def record_and_die(*args, **how):
    record(*args, **how)
    os.kill(os.getpid(), signal.SIGKILL)

shop.journeys.record = record_and_die
shop.place_order("crashed", 1, "beans", 2)
"""


def test_a_crash_before_the_commit_leaves_nothing_and_the_request_can_be_repeated(
    client, shop, settings
):
    customer = sign_up(client)
    before = counted(shop)
    environment = {
        **os.environ,
        "SHOP_DATABASE": settings.database,
        "PYTHONPATH": str(ROOT / "examples"),
    }
    died = subprocess.run([sys.executable, "-c", CRASH], env=environment, check=False, timeout=180)
    assert died.returncode == -signal.SIGKILL
    assert counted(shop) == before

    assert order(client, customer, "crashed", quantity=2).status_code == 201
    after = counted(shop)
    assert (after["orders"], after["left"]) == (1, before["left"] - 2)
    # the same, had the crash come after the commit and before the answer
    assert order(client, customer, "crashed", quantity=2).status_code == 201
    assert counted(shop) == after


def test_a_customer_who_is_forgotten_leaves_figures_and_no_name(client, shop, settings, tmp_path):
    customer = sign_up(client)
    position = order(client, customer).json()["position"]
    figures = entered(client, position)
    assert client.get(f"/customers/{customer}/journey").json()["traits"]["email"] == ADA["email"]

    for _ in range(2):  # asked again, it changes nothing
        assert client.delete(f"/customers/{customer}").status_code == 204
    journey = client.get(f"/customers/{customer}/journey").json()
    assert journey["traits"] == {"country": "DE", "email": None}
    assert journey["stage"] == "commitment"
    assert entered(client, shop.journeys.store.head()) == figures
    assert order(client, customer).status_code == 410
    if settings.database.startswith("sqlite"):
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert files
        assert not [path for path in files if ADA["email"].encode() in path.read_bytes()]


def test_figures_kept_by_another_process_are_waited_for(settings, tmp_path):
    from bowtie_projections.following import follow

    following = dataclasses.replace(settings, follow=True, max_lag=0.0, read_timeout=0.3)
    with TestClient(create_app(following), raise_server_exceptions=False) as client:
        assert client.get("/funnel").status_code == 200  # the first to ask makes the tables
        position = order(client, sign_up(client)).json()["position"]
        late = client.get("/funnel", params={"position": position})
        assert (late.status_code, late.headers["Retry-After"]) == (503, "1")
        health = client.get("/health")
        assert (health.status_code, health.json()["lag"]["events"]) == (503, position)

        stop = threading.Event()
        with Bowtie.open(settings.database) as engine, ThreadPoolExecutor(1) as thread:
            running = thread.submit(follow, engine, stop=stop, poll=0.05)
            try:
                shop_of(client).settings = dataclasses.replace(following, read_timeout=20)
                assert entered(client, position)["commitment"] == 1
            finally:
                stop.set()
            running.result(timeout=20)
        assert client.get("/health").status_code == 200
