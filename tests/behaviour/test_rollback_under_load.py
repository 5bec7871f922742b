"""A thousand requests to a real server while versions are promoted and rolled back: none fails, none mixes two."""

import json
import threading
import time

import pytest

from tasks.stores import pointer
from tests.helpers import versions
from tests.helpers.requests import raw_users
from tests.helpers.servers import served

pytestmark = pytest.mark.slow

REQUESTS, THREADS, USERS = 1_000, 4, 3
AS_OF = versions.AS_OF.isoformat()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A state folder with two registered versions, the first live; a server that follows the pointer; its users."""
    home = tmp_path_factory.mktemp("home")
    (first, _), bucket, ledger = versions.two(home)
    versions.promoted(home, "1")
    users = raw_users(bucket)
    with (
        ledger.model_folder(first.version) as model,
        served(model, home, home / "server.log", FENQUN_FOLLOW="live") as client,
    ):
        yield home, client, [users[i : i + USERS] for i in range(0, len(users), USERS)]


def ask_all(client, groups) -> list[bytes]:
    """Every group's answer, as bytes."""
    told = [client.raw(group, AS_OF) for group in groups]
    assert all(status == 200 for status, _ in told), told
    return [body for _, body in told]


def test_a_thousand_requests_during_promotions_and_rollbacks(shop):
    home, client, groups = shop
    old = ask_all(client, groups)
    versions.promoted(home, "2")
    new = ask_all(client, groups)
    for version, bodies in (("1", old), ("2", new)):
        rows = [row for body in bodies for row in json.loads(body)["predictions"]]
        assert {row["model_version"] for row in rows} == {version}
    assert not {*old} & {*new}
    answers: list[tuple[int, int, bytes]] = []
    numbers = iter(range(REQUESTS))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            group = number % len(groups)
            answers.append((group, *client.raw(groups[group], AS_OF)))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    seconds, revision = [], pointer.read(str(home), versions.NAME).revision
    while any(thread.is_alive() for thread in threads):
        start = time.perf_counter()
        versions.rolled_back(home)
        seconds.append(time.perf_counter() - start)
        versions.promoted(home, "2")
    for thread in threads:
        thread.join()
    assert len(answers) == REQUESTS
    assert [status for _, status, _ in answers if status != 200] == []
    for group, _, body in answers:  # the whole answer is one version's, to the byte
        assert body in (old[group], new[group])
    told = [body == old[group] for group, _, body in answers]
    assert 0 < sum(told) < REQUESTS
    assert pointer.read(str(home), versions.NAME).revision == revision + 2 * len(seconds)
    print(f"{len(seconds)} rollbacks, the slowest {max(seconds):.2f} s; {sum(told)} old answers of {REQUESTS}")
    assert max(seconds) < 5


def test_after_a_rollback_the_very_next_answer_is_the_old_one(shop):
    home, client, groups = shop
    if pointer.read(str(home), versions.NAME).live.model_version != "1":
        versions.rolled_back(home)
    old = ask_all(client, groups)
    for _ in range(5):
        versions.promoted(home, "2")
        assert json.loads(client.raw(groups[0], AS_OF)[1])["predictions"][0]["model_version"] == "2"
        versions.rolled_back(home)
        assert client.raw(groups[0], AS_OF)[1] == old[0]
    assert ask_all(client, groups) == old
