package taktwin.peers;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams beside the twin: events and good parts per station, and per station and pane of a minute.
 *
 * <p>Arguments: BOOTSTRAP TOPIC EVENTS THREADS FORM STATE_FOLDER. FORM names what the in-memory stores have: plain,
 * cached, logged (with their changelog topics) or cached-logged.
 */
public final class Main {
    private static final long LIMIT_S = 600;

    private Main() {}

    public static void main(String[] args) throws Exception {
        Count.Progress progress = new Count.Progress(Long.parseLong(args[2]));
        try (KafkaStreams streams = new KafkaStreams(topology(args[1], args[4], progress), settings(args))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                progress.done.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.worker.start();
            if (!progress.done.await(LIMIT_S, TimeUnit.SECONDS) || progress.endedNs == 0) {
                System.err.printf("%d of %d events after %d s%n", progress.seen.get(), progress.wanted, LIMIT_S);
                System.exit(1);
            }
            System.out.println(answer(streams, progress));
        }
    }

    private static Properties settings(String[] args) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "kafka-streams-" + ProcessHandle.current().pid());
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[3]);
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        // 1,000 by default; the fetch sizes are Kafka's own.
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "5000");
        return p;
    }

    private static Topology topology(String topic, String form, Count.Progress progress) {
        return new Topology()
                .addSource("events", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), topic)
                .addProcessor("count", () -> new Count(progress), "events")
                .addStateStore(store(Count.STATIONS, form), "count")
                .addStateStore(store(Count.PANES, form), "count");
    }

    private static StoreBuilder<KeyValueStore<String, Totals>> store(String name, String form) {
        var builder = Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(name), Serdes.String(), Totals.serde());
        builder = form.contains("cached") ? builder.withCachingEnabled() : builder.withCachingDisabled();
        return form.contains("logged") ? builder.withLoggingEnabled(Map.of()) : builder.withLoggingDisabled();
    }

    /** One line of JSON, the form of which all peers share; refuses panes that do not add up to their station. */
    private static String answer(KafkaStreams streams, Count.Progress progress) throws Exception {
        TreeSet<String> rows = new TreeSet<>();
        long good = 0;
        long inPanes = 0;
        try (KeyValueIterator<String, Totals> all = query(streams, Count.STATIONS)) {
            while (all.hasNext()) {
                KeyValue<String, Totals> one = all.next();
                rows.add("%s %d %d\n".formatted(one.key, one.value.events(), one.value.good()));
                good += one.value.good();
                inPanes += one.value.paneGood();
            }
        }
        try (KeyValueIterator<String, Totals> all = query(streams, Count.PANES)) {
            while (all.hasNext()) {
                inPanes += all.next().value.good();
            }
        }
        if (inPanes != good) {
            throw new IllegalStateException("panes hold %d good parts, stations %d".formatted(inPanes, good));
        }
        byte[] text = String.join("", rows).getBytes(StandardCharsets.UTF_8);
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
        double seconds = (progress.endedNs - progress.begunNs) / 1e9;
        return "{\"events\": %d, \"timed\": %d, \"seconds\": %s, \"good\": %d, \"stations\": %d, \"digest\": \"%s\"}"
                .formatted(progress.seen.get(), progress.wanted - progress.untimed, seconds, good, rows.size(), digest);
    }

    private static KeyValueIterator<String, Totals> query(KafkaStreams streams, String store) {
        return streams
                .store(StoreQueryParameters.fromNameAndType(store, QueryableStoreTypes.<String, Totals>keyValueStore()))
                .all();
    }
}
