"""The shop over HTTP: ``uvicorn --factory shop_app.app:create_app``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError

from bowtie import errors
from bowtie.sealing import is_sealed
from shop_app.settings import Settings
from shop_app.shop import CURRENCY, KeyReused, NotFound, Shop, SoldOut

__all__ = ["create_app"]

#: What an error means to who asked. The nearest class counts.
STATUS: dict[type[Exception], int] = {
    NotFound: 404,
    SoldOut: 409,
    KeyReused: 422,
    errors.UsageError: 422,
    errors.EventRejected: 422,
    errors.RuleViolation: 409,
    errors.Conflict: 409,
    errors.IdReused: 422,
    errors.StoreBusy: 503,
    errors.StoreAway: 503,
    errors.NotReached: 503,
    errors.TablesHeld: 503,
    errors.TablesAway: 503,
    OperationalError: 503,
}
RETRY_AFTER = "1"


class NewCustomer(BaseModel):
    """Who signs up."""

    email: str = Field(min_length=3, max_length=254)
    country: str = Field(pattern="^[A-Z]{2}$")
    channel: str = Field(min_length=1, max_length=50)


class Wanted(BaseModel):
    """What is put into the cart, or bought."""

    sku: str
    quantity: int = Field(default=1, ge=1, le=100)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its settings come from the environment unless they are given."""
    chosen = settings or Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Every route is a plain function, which Starlette runs in a thread: so many at once, and
        # as many connections.
        anyio.to_thread.current_default_thread_limiter().total_tokens = chosen.threads
        app.state.shop = await anyio.to_thread.run_sync(Shop, chosen)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(app.state.shop.close)

    app = FastAPI(title="A shop with journeys", lifespan=lifespan)
    for error in STATUS:
        app.add_exception_handler(error, _problem)
    app.include_router(routes)
    return app


def _problem(_: Request, error: Exception) -> JSONResponse:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, errors.EventRejected) and error.reason == "customer_forgotten":
        status = 410
    # what the database says may hold values; what bowtie says never holds personal ones
    said = "the database is busy or away" if isinstance(error, OperationalError) else str(error)
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return JSONResponse({"problem": said}, status, headers)


def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


TheShop = Annotated[Shop, Depends(_shop)]
#: The client's own name for a request, so that it can be sent again without doing it twice.
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


routes = APIRouter()


@routes.get("/products")
def products(shop: TheShop) -> list[dict[str, Any]]:
    """What can be bought, and how much is left of it."""
    return [
        {"sku": one.sku, "name": one.name, "price": _money(one.price_cents), "left": one.stock}
        for one in shop.products()
    ]


@routes.post("/customers", status_code=201)
def sign_up(shop: TheShop, key: Key, new: NewCustomer) -> dict[str, Any]:
    """Take a new customer in: the row and the first events are one transaction."""
    customer = shop.sign_up(key, new.email, new.country, new.channel)
    return {"customer": customer.id, "position": customer.position}


@routes.post("/customers/{customer}/cart", status_code=201)
def add_to_cart(shop: TheShop, key: Key, customer: int, wanted: Wanted) -> dict[str, Any]:
    """Put a product into a customer's cart."""
    item = shop.add_to_cart(key, customer, wanted.sku, wanted.quantity)
    return {"item": item.id, "position": item.position}


@routes.post("/customers/{customer}/orders", status_code=201)
def place_order(shop: TheShop, key: Key, customer: int, wanted: Wanted) -> dict[str, Any]:
    """Order a product: the stock, the order and its event change together, or not at all."""
    order = shop.place_order(key, customer, wanted.sku, wanted.quantity)
    return {
        "order": order.id,
        "amount": _money(order.cents),
        "welcome": order.welcome,
        "position": order.position,
    }


@routes.delete("/customers/{customer}", status_code=204)
def forget(shop: TheShop, customer: int) -> None:
    """Forget a customer: their row, and what their events hold of the person."""
    shop.forget(customer)


@routes.get("/customers/{customer}/journey")
def journey(shop: TheShop, customer: int) -> dict[str, Any]:
    """What happened with a customer, and where they stand."""
    record = shop.journey(customer)
    return {
        "customer": customer,
        "stage": record.stage,
        # what was erased can't be opened any more
        "traits": {k: None if is_sealed(v) else v for k, v in record.traits.items()},
        "events": [
            {
                "time": entry.event.occurred_at,
                "type": entry.event.type,
                "entered": entry.entered,
            }
            for entry in record.timeline
        ],
    }


@routes.get("/funnel")
def funnel(shop: TheShop, position: int = 0) -> dict[str, Any]:
    """How customers pass the stages, of tables that stand at a position or past it."""
    return shop.funnel(position)


@routes.get("/health")
def health(shop: TheShop, response: Response) -> dict[str, Any]:
    """Whether the figures follow the log; 503 where they are too far behind."""
    positions, seconds = shop.lag()
    late = shop.settings.follow and seconds > shop.settings.max_lag
    response.status_code = 503 if late else 200
    return {"ok": not late, "lag": {"events": positions, "seconds": seconds}}


def _money(cents: int) -> dict[str, str]:
    return {"amount": f"{cents / 100:.2f}", "currency": CURRENCY}
