"""The native REST protocol, ``/api/v1`` (design §5)."""
