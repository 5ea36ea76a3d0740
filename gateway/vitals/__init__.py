"""How the gateway's own machine is: processor, memory, disk, clock, certificates, as issues."""

from gateway.vitals.monitor import Vitals

__all__ = ["Vitals"]
