"""Topics on a real broker: made once, changed where they may be, refused where they may not."""

from dataclasses import replace

import pytest

from streams.kafka.topics import TopicsError, admin_client, apply, desired, ensure, plan
from streams.local.broker import LocalBroker
from streams.settings import Settings

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(broker: LocalBroker, prefix: str) -> Settings:
    return Settings(bootstrap=broker.bootstrap, prefix=prefix, partitions=3)


async def test_made_once(settings: Settings) -> None:
    async with admin_client(settings) as admin:
        changes = await plan(admin, settings)
        assert [c.kind for c in changes] == ["create"] * len(desired(settings))
        await apply(admin, changes)
        assert await plan(admin, settings) == []
        await apply(admin, changes)  # as when another process was quicker
    assert await ensure(settings) == []


async def test_more_partitions_for_results_but_not_for_events(settings: Settings) -> None:
    await ensure(settings)
    more = replace(settings, partitions=5)
    async with admin_client(more) as admin:
        changes = {c.topic.removeprefix(f"{settings.prefix}."): c for c in await plan(admin, more)}
        grown = dict.fromkeys(("kpis", "measures"), "partitions")
        assert {name: c.kind for name, c in changes.items()} == {"events": "refused"} | grown
        with pytest.raises(TopicsError, match="new prefix"):
            await apply(admin, list(changes.values()))
        await apply(admin, [changes[name] for name in grown])
        assert {c.kind for c in await plan(admin, more)} == {"refused"}


async def test_config_is_put_right_and_what_others_set_stays(settings: Settings) -> None:
    await ensure(settings)
    async with admin_client(settings) as admin:
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

        name = settings.topic("lines")
        theirs = {"cleanup.policy": "delete", "retention.ms": "12345"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=theirs)])
        changes = await plan(admin, settings)
        assert [(c.kind, c.topic) for c in changes] == [("config", name)]
        await apply(admin, changes)
        assert await plan(admin, settings) == []
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        values = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        assert (values["cleanup.policy"], values["retention.ms"]) == ("compact", "12345")


async def test_no_broker_says_so() -> None:
    with pytest.raises(TopicsError, match=r"127\.0\.0\.1:1 does not answer"):
        await ensure(Settings(bootstrap="127.0.0.1:1"))
