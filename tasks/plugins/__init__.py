"""Which plugins there are, and what each kind has to offer."""
