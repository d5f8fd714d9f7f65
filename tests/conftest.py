"""What every test may ask for; the fixtures live with what they make, in ``tests/support``."""

pytest_plugins = ["tests.support.databases"]
