// Lines, key figures and alerts of the twin in Java:
//   mvn -q compile dependency:build-classpath -Dmdep.outputFile=cp && java -cp target/classes:$(cat cp) Consumer BOOTSTRAP [PREFIX] [IDLE_SECONDS]
// Reads from the beginning, prints one line per record, leaves repeats out by their id, and ends after IDLE_SECONDS without
// another record (0, the default: never).

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Consumer {
    static final int MOST_IDS = 100_000; // a repeat comes within seconds of the first: docs/client.md

    /** The ids of the last records of one partition. */
    static Set<String> lately() {
        return Collections.newSetFromMap(new LinkedHashMap<>() {
            @Override
            protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
                return size() > MOST_IDS;
            }
        });
    }

    static String told(JsonNode row) {
        String line = row.get("line").asText();
        if (!row.has("set")) // a view of a line: provisional, without an id
            return String.join("\t", "lines", line, row.get("state").asText(), row.path("newest").asText());
        String set = row.get("set").asText(), id = row.get("id").asText();
        String station = row.get("station").isNull() ? "-" : row.get("station").asText();
        if (set.equals("alerts")) {
            String what = row.get("kind").asText() + " " + row.get("action").asText();
            return String.join("\t", set, line, station, what, row.get("ts").asText(), id);
        }
        return String.join("\t", set, line, station, row.get("window").asText(), row.get("end").asText(), id);
    }

    public static void main(String[] args) throws Exception {
        String prefix = args.length > 1 ? args[1] : "twin";
        double idleSeconds = args.length > 2 ? Double.parseDouble(args[2]) : 0;
        // No group: nothing is committed, so any number of these can run beside each other.
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false");
        ObjectMapper json = new ObjectMapper();
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        Map<TopicPartition, Set<String>> seen = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> places = new ArrayList<>();
            for (String name : List.of("lines", "kpis", "alerts"))
                consumer.partitionsFor(prefix + "." + name)
                    .forEach(p -> places.add(new TopicPartition(p.topic(), p.partition())));
            consumer.assign(places);
            consumer.seekToBeginning(places);
            Long last = null;
            while (idleSeconds == 0 || last == null || System.nanoTime() - last < idleSeconds * 1e9) {
                var records = consumer.poll(Duration.ofMillis(500));
                for (ConsumerRecord<String, byte[]> record : records) {
                    JsonNode row = json.readTree(record.value());
                    var place = new TopicPartition(record.topic(), record.partition());
                    if (!row.has("id") || seen.computeIfAbsent(place, p -> lately()).add(row.get("id").asText()))
                        out.println(told(row));
                    last = System.nanoTime();
                }
                out.flush();
            }
        }
    }
}
