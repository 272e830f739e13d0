"""Steps, artifacts, records, report; stages/ is the only place where rooms meet."""
