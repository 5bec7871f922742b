"""What the rooms of the house say to one another: tables, configs, references and reports."""
