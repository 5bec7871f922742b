"""The fitted bundle, identity, gates, profiles, names, figures and report."""
