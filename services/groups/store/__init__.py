"""All SQL of the groups service. Functions take a session, answer domain objects, decide and commit nothing."""
