"""Rules, windows and alarms over the bus. Not built yet: the words of rules/ and alarms/ are reserved and refused."""
