"""
The application for a WSGI server of one's own choice: ``gunicorn gateway.wsgi:app``.

The database must be prepared (``gateway db upgrade``) and workers run apart (``gateway worker``).
"""

from gateway.bootstrap import application

app = application()
