"""Parts that tests of every kind use: real peers, faults, processes, and waiting for conditions."""
