"""
The ledger: documents, deliveries, statuses and events, and the queue that deliveries are.

The only place where SQL is written. ``Ledger`` is the door; its values are in ``records``.
"""

from gateway.ledger.actions import Action
from gateway.ledger.engine import check, open_engine, prepare, sqlite_version_is_safe
from gateway.ledger.ledger import Ledger

__all__ = ["Action", "Ledger", "check", "open_engine", "prepare", "sqlite_version_is_safe"]
