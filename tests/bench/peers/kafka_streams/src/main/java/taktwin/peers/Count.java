package taktwin.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Decodes an event and counts it at its station; a pane that ends goes to a store of its own. */
final class Count implements Processor<byte[], byte[], Void, Void> {
    static final String STATIONS = "stations";
    static final String PANES = "panes";
    private static final JsonFactory JSON = new JsonFactory();

    /** How far all tasks together are. The clock starts at half of the events, when the JVM has compiled them. */
    static final class Progress {
        final long wanted;
        final long untimed;
        final AtomicLong seen = new AtomicLong();
        final CountDownLatch done = new CountDownLatch(1);
        volatile long begunNs;
        volatile long endedNs;

        Progress(long wanted) {
            this.wanted = wanted;
            this.untimed = wanted / 2;
        }

        void advance() {
            long now = seen.incrementAndGet();
            if (now == untimed) {
                begunNs = System.nanoTime();
            } else if (now == wanted) {
                endedNs = System.nanoTime();
                done.countDown();
            }
        }
    }

    private final Progress progress;
    private KeyValueStore<String, Totals> stations;
    private KeyValueStore<String, Totals> panes;

    Count(Progress progress) {
        this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        stations = context.getStateStore(STATIONS);
        panes = context.getStateStore(PANES);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        String line = "";
        String station = "";
        long ts = 0;
        long good = 0;
        // Every token is read, as a decoder into a map would; only what is counted becomes an object.
        try (JsonParser parser = JSON.createParser(record.value())) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "line" -> line = parser.getText();
                    case "station" -> station = parser.getText();
                    case "ts" -> ts = parser.getLongValue();
                    case "good" -> good = parser.getLongValue();
                    default -> parser.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        count(line + "/" + station, ts - Math.floorMod(ts, Totals.PANE_NS), good);
        progress.advance();
    }

    private void count(String key, long pane, long good) {
        Totals before = stations.get(key);
        if (before == null) {
            before = Totals.NONE;
        } else if (before.paneNs() != pane) {
            String closed = key + "@" + before.paneNs();
            panes.put(closed, before.closed(panes.get(closed)));
        }
        stations.put(key, before.add(pane, good));
    }
}
