"""What fuzzing found in the readers of logs: an error of their own, never one of the libraries below."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support_sources import plant, read, write
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
