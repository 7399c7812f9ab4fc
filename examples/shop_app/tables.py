"""The shop's own tables, and the connections to them.

They lie in the database that holds the journeys, so that one transaction can write to both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shop_app.settings import Settings

__all__ = ["Base", "CartItem", "Customer", "Order", "Product", "connect"]


class Base(DeclarativeBase):
    """Of all tables of the shop."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True)}  # noqa: RUF012  # SQLAlchemy's way


class Customer(Base):
    """Someone who signed up. What is personal is here, and sealed in the journey."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: the idempotency key of the request that made this row
    request: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str | None]
    country: Mapped[str]
    channel: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    forgotten_at: Mapped[datetime | None]

    @property
    def journey(self) -> str:
        """The key of the customer's journey, which must tell nothing about the person."""
        return f"c-{self.id}"


class Product(Base):
    """What can be bought, while there is some left."""

    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int]


class CartItem(Base):
    """What somebody has put into the cart."""

    __tablename__ = "cart_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey(Customer.id))
    sku: Mapped[str] = mapped_column(sa.ForeignKey(Product.sku))
    quantity: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)


class Order(Base):
    """What somebody has bought."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey(Customer.id))
    sku: Mapped[str] = mapped_column(sa.ForeignKey(Product.sku))
    quantity: Mapped[int]
    cents: Mapped[int]
    #: whether the discount on a first order was given
    welcome: Mapped[bool]
    position: Mapped[int] = mapped_column(default=0)


def connect(settings: Settings) -> sa.Engine:
    """Connections to the database of the journeys, for the shop's own tables."""
    url = sa.make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, settings)
    # bowtie's URL names the schema of the journeys, which no driver knows of
    url = url.set(drivername="postgresql+psycopg").difference_update_query(["schema"])
    return sa.create_engine(url, pool_size=settings.threads, pool_pre_ping=True)


def _sqlite(url: sa.URL, settings: Settings) -> sa.Engine:
    """SQLite begins a transaction as a reader unless told otherwise, and readers can't wait.

    Two requests that read and then want to write would fail; begun as writers, one waits.
    """
    engine = sa.create_engine(
        url, pool_size=settings.threads, connect_args={"timeout": settings.lock_timeout}
    )

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # so that the driver begins nothing by itself
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is erased leaves the file

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("only_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
