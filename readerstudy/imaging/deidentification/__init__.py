"""Default-deny de-identification: a new data set that holds what a table allows, no more."""
