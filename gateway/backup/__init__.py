"""A gateway in one file, for another box: identity, configuration, generations, shadows, alarms. Not its readings."""
