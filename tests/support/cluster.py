"""A local Kafka of three nodes on 127.0.0.1, for tests of what a single one cannot show: leaders that move."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.local.broker import HOST, BrokerError, LocalBroker, free_port, java_command, new_cluster_id, tools

NODES: Final = 3
_TOOL_LIMIT_S: Final = 60.0


class LocalCluster:
    """Three brokers that are controllers as well; a context manager. Topics get three replicas, two must have a record.

    folder: the data's folder, one subfolder per node; it is not removed.
    """

    def __init__(self, folder: Path, *, heap_mb: int = 320) -> None:
        self._folder = folder
        cluster_id = new_cluster_id()
        controllers = [free_port() for _ in range(NODES)]
        voters = ",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(controllers, 1))
        self.nodes: list[LocalBroker] = []
        for node, controller in enumerate(controllers, 1):
            port = free_port()
            properties = {
                "node.id": str(node),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
                "default.replication.factor": str(NODES),
                "min.insync.replicas": "2",
                "offsets.topic.replication.factor": str(NODES),
                "transaction.state.log.replication.factor": str(NODES),
                "transaction.state.log.min.isr": "2",
                # A follower that is gone leaves the in-sync set after this; the default is 30 s.
                "replica.lag.time.max.ms": "5000",
                "auto.leader.rebalance.enable": "false",
            }
            self.nodes.append(
                LocalBroker(
                    folder / f"node-{node}", port=port, heap_mb=heap_mb, properties=properties, cluster_id=cluster_id
                )
            )

    @property
    def bootstrap(self) -> str:
        return ",".join(node.bootstrap for node in self.nodes)

    def start(self, limit_s: float = 90.0) -> Self:
        """Start the nodes that do not run, side by side: one alone has no quorum. Raises BrokerError."""
        waiting = [node for node in self.nodes if not node.running]
        try:
            with ThreadPoolExecutor(NODES) as pool:
                for started in [pool.submit(node.start, limit_s) for node in waiting]:
                    started.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.stop(limit_s=1.0)

    def move_leader(self, topic: str, partition: int, to: int) -> None:
        """Give the partition's leadership to node `to` (from 1). Raises BrokerError.

        By reassigning the same replicas in another order and an election of the first of them: what an operator does.
        """
        replicas = [(to - 1 + shift) % NODES + 1 for shift in range(NODES)]
        wanted = {
            "version": 1,
            "partitions": [{"topic": topic, "partition": partition, "replicas": replicas}],
        }
        file = self._folder / "move.json"
        file.write_text(json.dumps(wanted))
        base = "--bootstrap-server", self.bootstrap
        self._run(
            "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
            *base,
            "--reassignment-json-file",
            str(file),
            "--execute",
        )
        self._run(
            "org.apache.kafka.tools.LeaderElectionCommand",
            *base,
            "--election-type",
            "preferred",
            "--topic",
            topic,
            "--partition",
            str(partition),
        )

    def _run(self, *command: str) -> None:
        tool = java_command(tools(), 128, *command)
        run = subprocess.run(tool, capture_output=True, text=True, timeout=_TOOL_LIMIT_S)  # noqa: S603  our own command
        if run.returncode:
            raise BrokerError(f"{command[0]} failed:\n{run.stdout}{run.stderr}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
