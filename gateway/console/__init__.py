"""
Pages for the people who operate the gateway: the routing log, one document's way, replays.

Server-rendered, complete without JavaScript, in Vietnamese and English. ``install`` puts them
under ``/console/`` of an application; nothing here touches the routes outside of it.
"""
