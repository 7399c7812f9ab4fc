"""What the shop does: each deed is one transaction over its own rows and the journey's event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from bowtie import (
    ANY,
    Bowtie,
    Event,
    JourneyRecord,
    Noted,
    OrderPlaced,
    Touched,
    TraitsObserved,
    retrying,
)
from bowtie_projections import Views
from shop_app.settings import Settings
from shop_app.tables import CartItem, Customer, Order, Product, connect

__all__ = ["CURRENCY", "KeyReused", "NotFound", "Shop", "SoldOut"]

CURRENCY = "EUR"
#: Off a first order, in percent.
WELCOME = 10

T = TypeVar("T")
Row = TypeVar("Row", Customer, CartItem, Order)


class NotFound(Exception):
    """There is no such customer or product."""


class SoldOut(Exception):
    """There is too little left of a product."""


class KeyReused(Exception):
    """An idempotency key came again with another request."""


class Shop:
    """The shop, opened; threads may share it.

    A deed that is asked for again under the same ``request`` (an idempotency key) is not done
    again: the row that it made is returned.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.journeys = Bowtie.open(settings.database, create=False)
        self.database = connect(settings)
        self.sessions = sessionmaker(self.database, expire_on_commit=False)
        self.readers = sessionmaker(self.database.execution_options(only_reads=True))

    def close(self) -> None:
        """Let go of the database."""
        self.database.dispose()
        self.journeys.close()

    # -- deeds --------------------------------------------------------------------------------

    def sign_up(self, request: str, email: str, country: str, channel: str) -> Customer:
        """A new customer, who came through a channel."""
        wanted = {"email": email, "country": country, "channel": channel}

        def deed(session: Session) -> Customer:
            if done := _done(session, Customer, request, wanted):
                return done
            customer = _added(session, Customer(request=request, **wanted))
            traits = TraitsObserved(traits={"country": country, "email": email})
            self._record(session, customer, traits, id=f"{request}/traits")
            touch = Touched(channel=channel, direction="inbound")
            customer.position = self._record(session, customer, touch, id=request)
            return customer

        return self._atomically(deed)

    def add_to_cart(self, request: str, customer_id: int, sku: str, quantity: int) -> CartItem:
        """A product in the customer's cart."""
        wanted = {"customer_id": customer_id, "sku": sku, "quantity": quantity}

        def deed(session: Session) -> CartItem:
            if done := _done(session, CartItem, request, wanted):
                return done
            customer = _found(session, Customer, customer_id)
            _found(session, Product, sku)
            item = _added(session, CartItem(request=request, **wanted))
            noted = Noted(name="cart_added", properties={"sku": sku, "quantity": quantity})
            item.position = self._record(session, customer, noted, id=request)
            return item

        return self._atomically(deed)

    def place_order(self, request: str, customer_id: int, sku: str, quantity: int) -> Order:
        """An order, with a discount if it is the customer's first.

        Whether it is the first, the journey says. If another order comes between reading that and
        recording this one, the version of the journey is not the one expected any more, and all is
        done again.
        """
        wanted = {"customer_id": customer_id, "sku": sku, "quantity": quantity}

        def deed(session: Session) -> Order:
            if done := _done(session, Order, request, wanted):
                return done
            customer = _found(session, Customer, customer_id)
            journey = self.journeys.journey(customer.journey)
            welcome = "commitment" not in journey.stages
            cents = _sold(session, sku, quantity) * (100 - WELCOME * welcome) // 100
            order = _added(session, Order(request=request, cents=cents, welcome=welcome, **wanted))
            placed = OrderPlaced(
                order=str(order.id),
                kind="order",
                amount=f"{cents / 100:.2f}",
                currency=CURRENCY,
                offering=sku,
            )
            order.position = self._record(
                session, customer, placed, id=request, expected=journey.version
            )
            return order

        return self._atomically(deed)

    def forget(self, customer_id: int) -> Customer:
        """Erase what is personal, here and in the journey; no figure changes.

        The engine destroys keys in a transaction of its own. A crash between the two leaves a
        customer whose request is half done: asked again, the rest is done.
        """
        with self.sessions.begin() as session:
            customer = _found(session, Customer, customer_id)
            customer.email = None
            customer.forgotten_at = customer.forgotten_at or datetime.now(UTC)
        self.journeys.forget(customer.journey)
        return customer

    # -- questions ----------------------------------------------------------------------------

    def products(self) -> list[Product]:
        """What there is to buy."""
        with self.readers() as session:
            return list(session.scalars(sa.select(Product).order_by(Product.sku)))

    def journey(self, customer_id: int) -> JourneyRecord:
        """Where a customer stands, and how they came there."""
        with self.readers() as session:
            customer = _found(session, Customer, customer_id)
        return self.journeys.journey(customer.journey)

    def funnel(self, position: int = 0) -> dict[str, Any]:
        """How customers pass through the stages, the event at a position included."""
        settings = self.settings
        with Views.open(
            self.journeys, refresh=not settings.follow, wait=settings.read_timeout
        ) as views:
            views.wait_until(position, settings.read_timeout)
            return views.funnel(include_truncated=True).to_dict()

    def lag(self) -> tuple[int, float]:
        """How far the figures are behind, in events and in seconds."""
        with Views.open(self.journeys, refresh=False, wait=self.settings.read_timeout) as views:
            lag = views.lag()
        return lag.positions, lag.seconds

    # -- inside -------------------------------------------------------------------------------

    def _atomically(self, deed: Callable[[Session], T]) -> T:
        """Do it in one transaction: all of it, or nothing; again, where another was faster."""

        def attempt() -> T:
            with self.sessions.begin() as session:
                return deed(session)

        try:
            return retrying(attempt)
        except IntegrityError:
            # the same request came twice at once: by now the rows of the other one are there
            return retrying(attempt)

    def _record(
        self, session: Session, customer: Customer, event: Event, *, id: str, expected: Any = ANY
    ) -> int:
        """Append in the session's transaction, and return the position.

        From here to the commit nobody else can record, so this comes last.
        """
        (recorded,) = self.journeys.record(
            customer.journey,
            event,
            source="shop",
            id=id,
            expected=expected,
            connection=session.connection(),
            timeout=self.settings.lock_timeout,
        )
        return recorded.position


def _done(session: Session, table: type[Row], request: str, wanted: dict[str, Any]) -> Row | None:
    """What the same request made before, if it came before."""
    row = session.scalar(sa.select(table).where(table.request == request))
    if row and any(getattr(row, name) != value for name, value in wanted.items()):
        raise KeyReused(f"the idempotency key {request!r} came with another request before")
    return row


def _found(session: Session, table: type[T], key: object) -> T:
    row = session.get(table, key)
    if row is None:
        raise NotFound(f"there is no {table.__name__.lower()} {key!r}")
    return row


def _added(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()  # now it has its number, and a request that is there already has failed
    return row


def _sold(session: Session, sku: str, quantity: int) -> int:
    """Take a quantity out of the stock, and return what it costs in cents."""
    _found(session, Product, sku)
    price: int | None = session.scalar(
        sa.update(Product)
        .where(Product.sku == sku, Product.stock >= quantity)
        .values(stock=Product.stock - quantity)
        .returning(Product.price_cents)
    )
    if price is None:
        raise SoldOut(f"fewer than {quantity} of {sku!r} are left")
    return price * quantity
