"""Torch in one thread, where its products are small."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def alone(work: Callable[[], T]) -> T:
    """What `work` returns, done in a thread of its own in which torch uses no other; elsewhere it uses what it did.

    Small products shared between threads take longer, and where threads are scarce a hundred times as long.
    """
    import torch

    many = torch.get_num_threads()

    def narrow() -> None:
        torch.get_num_threads()  # a thread takes up the common number at the first question
        torch.set_num_threads(1)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(narrow).result()
        torch.set_num_threads(many)  # of all threads to come; that of the narrow one stays
        return pool.submit(work).result()
