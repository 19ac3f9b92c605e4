"""A start that cannot succeed says so in one line."""

import subprocess
import sys
from pathlib import Path

from streams import exits
from tests.support.streams import PLANT


def test_an_audit_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "streams.cli", "worker", "--plant", str(tmp_path / "plant.toml")]
    ran = subprocess.run(  # noqa: S603  own command
        [*command, "--audit", str(tmp_path / "file" / "audit")], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == exits.STORAGE
    told = ran.stderr.strip().splitlines()
    assert len(told) == 1
    assert f"cannot start: TAKTWIN_AUDIT {tmp_path}/file/audit cannot be written (Not a directory)" in told[0]
