"""Servers: the gateway as HMIs and PLCs see it. The contract of a server, and what the kernel does for one."""
