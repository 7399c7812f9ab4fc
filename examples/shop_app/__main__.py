"""Makes or upgrades what the shop keeps: ``python -m shop_app``, once for each deployment."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bowtie import Bowtie
from shop_app.settings import Settings
from shop_app.tables import Base, Product, connect

__all__ = ["set_up"]

PRODUCTS = (
    {"sku": "beans", "name": "Coffee beans, 1 kg", "price_cents": 1990, "stock": 50},
    {"sku": "grinder", "name": "Hand grinder", "price_cents": 4900, "stock": 3},
)


def set_up(settings: Settings) -> str:
    """Make what is missing, and say where. The journeys come first: they make the SQLite file."""
    with Bowtie.open(settings.database) as journeys:
        journeys.init("shop/1")
        where = journeys.store.url
    database = connect(settings)
    Base.metadata.create_all(database)
    with Session(database) as session, session.begin():
        if not session.scalar(sa.select(sa.func.count()).select_from(Product)):
            session.add_all(Product(**one) for one in PRODUCTS)
    database.dispose()
    return where


if __name__ == "__main__":
    print(f"{set_up(Settings.from_environment())} is ready.")
