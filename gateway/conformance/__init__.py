"""
The conformance kit: rules of the protocols, each with its verdict.

``check`` plays a client against a gateway, ``stand`` plays the gateway against a client. Both are written from the
description of the protocols alone and share no code with the servers and clients of the gateway: an error made on
both sides at once would otherwise never be seen.
"""
