"""Compile what most tests need: before they run side by side, or each process would compile all of it for itself."""

from streams.bench import inputs
from streams.worker.processor import Processor
from twin.line import PartitionTwin
from twin.plant.model import Plant


def compile_for(plant: Plant) -> None:
    PartitionTwin(plant, 0).warm()
    Processor(plant, "").warm()


if __name__ == "__main__":
    compile_for(inputs.metered(lines=1, stations=2))
