package taktwin.peers;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What a station has counted: since the beginning, and in the pane that is open. */
record Totals(long events, long good, long paneNs, long paneEvents, long paneGood) {
    static final long PANE_NS = 60_000_000_000L;
    static final Totals NONE = new Totals(0, 0, -1, 0, 0);

    Totals add(long pane, long parts) {
        boolean same = pane == paneNs;
        return new Totals(
                events + 1, good + parts, pane, (same ? paneEvents : 0) + 1, (same ? paneGood : 0) + parts);
    }

    /** The open pane as a row of its own, added to what a store may already hold of it. */
    Totals closed(Totals before) {
        Totals known = before == null ? NONE : before;
        return new Totals(known.events + paneEvents, known.good + paneGood, paneNs, 0, 0);
    }

    static Serde<Totals> serde() {
        return Serdes.serdeFrom((topic, value) -> write(value), (topic, bytes) -> read(bytes));
    }

    private static byte[] write(Totals t) {
        if (t == null) {
            return null;
        }
        return ByteBuffer.allocate(5 * Long.BYTES)
                .putLong(t.events).putLong(t.good).putLong(t.paneNs).putLong(t.paneEvents).putLong(t.paneGood)
                .array();
    }

    private static Totals read(byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        ByteBuffer b = ByteBuffer.wrap(bytes);
        return new Totals(b.getLong(), b.getLong(), b.getLong(), b.getLong(), b.getLong());
    }
}
