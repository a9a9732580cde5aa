"""A shop of eighty customers makes groups of any size; none of fewer than twenty is written down."""

import json

from tasks.__main__ import main

SIZES = {"num_customers", "num_people", "num_exposed", "num_others", "size", "people", "buyers", "exposed", "others"}
"""What our files call the number of customers in a group."""


def sizes(content, path=()):
    """(path, number) of every group's size below."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from sizes(value, (*path, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from sizes(value, (*path, str(number)))
    elif isinstance(content, int) and not isinstance(content, bool) and SIZES & set(path[-2:]):
        yield ".".join(path), content


def test_the_sizes_of_groups_are_found_where_they_stand():
    content = {"a": [{"size": 3, "name": "x"}], "exposed": [7, 0], "num_customers": {"all": 90}, "num": 4}
    assert dict(sizes(content)) == {"a.0.size": 3, "exposed.0": 7, "exposed.1": 0, "num_customers.all": 90}


def test_no_file_of_a_small_shop_tells_of_a_group_of_fewer_than_twenty(copied_night):
    for stage in ("plan", "readout"):
        assert main(stage) == 0
    small, groups = [], 0
    for path in sorted(copied_night.glob("artifacts/**/*.json")):
        for where, number in sizes(json.loads(path.read_text(encoding="utf-8"))):
            groups += 1
            whole_task = where.split(".")[-2:-1] == ["num_customers"]  # who was judged at all on a task is no group
            if 0 < number < 20 and not whole_task:
                small.append(f"{path.parent.name}/{path.name}: {where} = {number}")
    assert small == []
    assert groups > 20
