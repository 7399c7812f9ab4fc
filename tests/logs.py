"""Small logs for tests: wire lines made in one place."""

from __future__ import annotations

import json
from typing import Any


def wire(
    event_id: str,
    type_name: str = "touched",
    subject: str = "acme",
    time: str = "2026-01-05T10:00:00Z",
    data: dict[str, Any] | None = None,
    **more: Any,
) -> bytes:
    """One line of a log; a touch by ``acme`` unless said."""
    if data is None:
        data = {"channel": "web", "direction": "inbound"}
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "crm",
        "type": f"bowtie.{type_name}",
        "subject": subject,
        "time": time,
        **more,
        "data": data,
    }
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def contract(event_id: str, type_name: str, time: str, **data: Any) -> bytes:
    """One line about the contract ``c1``."""
    base: dict[str, Any] = {"contract": "c1"}
    if type_name == "contract_signed":
        base |= {"kind": "paid", "amount": "100.00", "per": "month", "currency": "EUR"}
        base |= {"starts_on": time[:10]}
    elif type_name == "contract_changed":
        base |= {"kind": "price", "amount": "120.00", "per": "month"}
    return wire(event_id, type_name, time=time, data=base | data)


def log(*lines: bytes) -> bytes:
    """Lines as a file's bytes."""
    return b"".join(line + b"\n" for line in lines)
