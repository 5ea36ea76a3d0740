"""The life of alarms (ISA-18.2): states, who may do what, first-out, figures, entries for the journal. Pure."""
