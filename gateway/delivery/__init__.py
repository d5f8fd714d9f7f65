"""
Handing documents over: when to try (``retry``, ``circuit``: pure), how (``push``, ``peer``, over ``http``),
and the loop that does it (``worker``).

``agency`` is the other side of our own API: what an agency's program, or ours on the command line, calls.
"""
