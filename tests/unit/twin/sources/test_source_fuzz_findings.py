"""What fuzzing found in the readers of logs: an error of their own, never one of the libraries below."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.sources import plant, read, write
from twin.sources import SourceError, open_log
from twin.wire.decode import Decoder


def test_a_carriage_return_in_the_header_is_a_space(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", "t,speed,made,batch,product\rx\n0,1,1,b,p\n")
    with pytest.raises(SourceError, match='column "product" of'):
        read(log)


def test_a_header_longer_than_a_field_may_be(tmp_path: Path) -> None:
    log = write(tmp_path, "a.csv", f"t,speed,{'x' * 200_000}\n0,1,1\n")
    with pytest.raises(SourceError, match=":1: the header cannot be read"):
        read(log)


def test_a_parquet_file_whose_column_names_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"source_partition": [1], "source_offset": [1], "some_other_name": [1]}), path)
    path.write_bytes(path.read_bytes().replace(b"some_other_name", b"some_\xf1ther_name"))
    with pytest.raises(SourceError, match="cannot be read"):
        open_log(path, plant())


def test_an_index_beyond_its_dictionary_is_refused() -> None:
    names = pa.DictionaryArray.from_arrays(pa.array([0, 9], pa.int32()), pa.array(["L1"]), safe=False)
    table = pa.table({"type": ["heartbeat"] * 2, "ts": [1, 2], "line": names})
    with pytest.raises(ValueError, match="damaged"):
        Decoder(plant()).decode_table(table, [0, 1])


FLIPS = """
import sys
from pathlib import Path
from tests.support.sources import plant
from twin.sources import SourceError, open_log

path, model = Path(sys.argv[1]), plant()
whole = path.read_bytes()
begin = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
for at in range(begin, len(whole) - 8):
    for bit in range(8):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1:])
        try:
            open_log(path, model)
        except SourceError:
            pass
"""


def test_no_damaged_footer_ends_the_process(tmp_path: Path) -> None:
    """Arrow aborts when it is asked for statistics that do not fit their column: in a process of its own."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"source_partition": [1], "source_offset": [5]}), path, store_schema=False)
    command = [sys.executable, "-c", FLIPS, str(path)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=False)  # noqa: S603  own script
    assert (ended.returncode, ended.stderr) == (0, "")
