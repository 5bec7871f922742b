"""How long and how many: the same at ingest, where a longer value is set aside, and online, where it is refused."""

MAX_ID_BYTES = 1024
"""Of an id, and of the name of an event or of a kind of text; UTF-8."""
MAX_NAME_BYTES = 1024
"""Of a category, tag or any other element of a list; UTF-8."""
MAX_NAMES = 1000
"""Elements of a list, such as the categories of an item."""
MAX_USERS = 10_000
"""Users of one request; more are sent in several, or assigned by `fenqun assign`."""
MAX_ROWS_OF_USER = 50_000
"""Events, or texts, of one user of a request."""
MAX_ROWS = 500_000
"""Events and texts of one request together."""
MAX_RECOMMENDED = 500_000
"""Items of one answer, over all its users."""
MAX_BODY_BYTES = 128 * 2**20
"""Of one request."""
MAX_DEPTH = 256
"""Lists and objects within one another, in a request's JSON; ours has seven."""
