"""What a number is of: each fault is planted in the data or the code and sent through the whole flow.

Every test runs over three seeds; beside it stands the same with the mend taken out, where the fault must get through:
a test that does not fail then looks at nothing.
"""
