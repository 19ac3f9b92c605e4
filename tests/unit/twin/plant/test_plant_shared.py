"""What is made of a plant once for all partitions of a process."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.support.streams import PLANT
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant


def test_made_once_for_one_plant_also_by_threads_and_anew_for_another() -> None:
    made: list[str] = []

    @once_a_plant
    def names(plant: Plant) -> list[str]:
        made.append(plant.hash)
        return [line.id for line in plant.lines]

    plant = loads(PLANT, "plant.toml")
    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(names, [plant] * 32)
    assert all(one is first for one in others)
    assert made == [plant.hash]
    # An equal plant is another object: it is not compared, which would cost as much as making it.
    for other in (replace(plant, hash="1"), replace(plant, hash="2"), replace(plant, hash="3")):
        assert names(other) == first
    assert names(plant) == first
    assert made == [plant.hash, "1", "2", "3", plant.hash]  # no more than the last two are kept


def test_the_partitions_of_a_worker_share_the_tables_and_not_the_state() -> None:
    plant = loads(PLANT, "plant.toml")
    one, other = PartitionTwin(plant, 0), PartitionTwin(plant, 1)
    assert one.engine.numbers is other.engine.numbers
    assert one.engine.rows._lines is other.engine.rows._lines
    assert one.engine.rows._texts is one.engine.texts
    assert other.engine.rows._texts is other.engine.texts
    assert one.engine.state.lines is not other.engine.state.lines
