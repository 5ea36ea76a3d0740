"""List and watch: a reader that starts anywhere never misses a change without being told."""

import asyncio
import random

from gateway.shadows.feed import Feed

ITEM = [{"side": "desired", "path": "a", "value": 1}]


async def take(stream, n):
    return [await asyncio.wait_for(anext(stream), 5) for _ in range(n)]


async def test_a_reader_gets_all_changes_after_its_revision_in_order():
    feed = Feed()
    for n in range(5):
        feed.put(f"d{n}", ITEM)
    stream = feed.after(2)
    assert [change.device for change in await take(stream, 3)] == ["d2", "d3", "d4"]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.put("d5", ITEM)
    assert (await asyncio.wait_for(waiting, 5)).device == "d5"


async def test_a_reader_that_fell_behind_is_told_once_and_goes_on_from_now():
    feed = Feed(kept=3)
    stream = feed.after(0)
    for n in range(10):
        feed.put(f"d{n}", ITEM)
    assert await take(stream, 1) == [None]
    feed.put("d10", ITEM)
    assert [change.device for change in await take(stream, 1)] == ["d10"]


def test_a_token_is_good_while_its_changes_are_held_and_of_this_run():
    feed = Feed(kept=3)
    tokens = [feed.token()]
    for _ in range(5):
        feed.put("d", ITEM)
        tokens.append(feed.token())
    assert [feed.since(token) for token in tokens] == [None, None, 2, 3, 4, 5]
    other = Feed()
    assert other.since(feed.token()) is None
    for bad in ("", "-", "x", f"{feed.token()}9", feed.token(99), feed.token(-1), feed.token().replace("-", "-+")):
        assert feed.since(bad) is None


def test_a_change_of_nothing_is_none():
    feed = Feed()
    feed.put("d", [])
    assert feed.rev == 0


async def test_readers_of_any_speed_miss_nothing_without_being_told():
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    feed, seen, told = Feed(kept=8), [], 0
    stream = feed.after(0)
    for n in range(2_000):
        feed.put(str(n), ITEM)
        if rng.random() < 0.2:
            for _ in range(rng.randint(1, 6)):
                if seen and seen[-1] == n:
                    break
                change = await asyncio.wait_for(anext(stream), 5)
                if change is None:
                    told += 1
                    seen.append(n)  # the list that the reader now asks for shows everything so far
                    break
                assert not seen or int(change.device) == seen[-1] + 1, f"seed {seed}"
                seen.append(int(change.device))
    assert told


async def test_a_watch_begins_with_all_shadows_and_goes_on_with_changes(gateway):
    from tests.unit.shadows.plant import patch

    watching = gateway.desk.watch()
    first = await gateway.do(anext(watching))
    assert (first["device"], first["shadow"]["reported"]["speed"]["value"]) == ("dev", 10)
    await gateway.do(gateway.desk.patch("dev", patch(1, {"speed": 50})))
    seen, token = [], None
    while ("apply", "ok") not in seen:
        item = await gateway.do(anext(watching))
        token = item["revision"]
        seen += [(change["side"], change.get("state", change.get("value"))) for change in item["changes"]]
    assert ("desired", 50) in seen
    await watching.aclose()
    await gateway.do(gateway.desk.patch("dev", patch(2, {"speed": 60})))
    again = gateway.desk.watch(token)
    item = await gateway.do(anext(again))
    assert "changes" in item, "from where it was, without a list"
    await again.aclose()


async def test_a_watch_from_a_revision_of_before_a_restart_begins_with_a_list(gateway):
    token = gateway.keeper.feed.token()
    await gateway.kill()
    gateway.open()
    gateway.start()
    watching = gateway.desk.watch(token)
    assert "shadow" in await gateway.do(anext(watching))
    await watching.aclose()
