"""A publisher of signed configurations, a machine that trusts it, and the web server between them."""

from tests.support.configurer import configurer, server, site

__all__ = ["configurer", "server", "site"]
