"""Compile what most tests need: before they run side by side, or each process would compile all of it for itself."""

from streams.bench import inputs
from twin.line import PartitionTwin
from twin.wire.decode import Decoder

if __name__ == "__main__":
    plant = inputs.plant(lines=1, stations=2)
    PartitionTwin(plant, 0).view()
    Decoder(plant).warm()
