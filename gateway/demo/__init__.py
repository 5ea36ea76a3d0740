"""`fieldpost demo`: a believable plant, a broker and a gateway on this machine, and live values on the screen.

Nothing here is used by the gateway itself.
"""
