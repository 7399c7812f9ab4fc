"""A receiver of webhooks: checks the signature, keeps each message once, answers.

``python webhook_receiver.py`` listens on port 8080, for ``bowtie webhook add http://localhost:8080/
--on profile_published``; the secret is taken from ``WEBHOOK_SECRET``.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Inbox:
    """Messages that were received, each once.

    Args:
        secret: ``whsec_...``, as the sender has it.
        file: where they are kept.
    """

    def __init__(self, secret: str, file: str = ":memory:") -> None:
        self._webhook = Webhook(secret)
        self._database = sqlite3.connect(file)
        self._database.execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body TEXT)")

    def receive(self, headers: Mapping[str, str], body: bytes) -> int:
        """Keep a message unless it is there, and say which status to answer."""
        try:
            # refuses what is not signed by the secret, and what is older than five minutes
            self._webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError):
            return 400
        by_id = {name.lower(): value for name, value in headers.items()}
        with self._database:  # committed before the answer: what was answered is safe
            self._database.execute(
                "INSERT INTO inbox VALUES (?, ?) ON CONFLICT DO NOTHING",
                (by_id["webhook-id"], body.decode()),
            )
        return 204

    def messages(self) -> list[Any]:
        """What was received, in order."""
        rows = self._database.execute("SELECT body FROM inbox ORDER BY rowid")
        return [json.loads(body) for (body,) in rows]


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the inbox."""

    inbox: Inbox

    def do_POST(self) -> None:
        """Receive a message."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.inbox.receive(dict(self.headers), body))
        self.end_headers()


if __name__ == "__main__":
    Handler.inbox = Inbox(os.environ["WEBHOOK_SECRET"], "inbox.db")
    HTTPServer(("localhost", 8080), Handler).serve_forever()
