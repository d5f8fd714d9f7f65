"""Proof of what the gateway did: signed receipts and detached seals."""
