"""
The application for a WSGI server of one's own choice: ``gunicorn gateway.wsgi:app``.

The database must be prepared (``gateway db upgrade``) and workers run apart (``gateway worker``).
"""

from __future__ import annotations

from gateway.bootstrap import configure_logging, join, make_app
from gateway.settings import load_settings

_settings = load_settings()
configure_logging(_settings.log.level, _settings.log.format)
app = make_app(join(_settings))
