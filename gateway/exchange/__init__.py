"""The use cases of the gateway: what can be asked of it, each in one place, whatever the protocol."""
