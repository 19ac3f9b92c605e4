// Events as JSON or Arrow in Java:
//   mvn -q compile dependency:build-classpath -Dmdep.outputFile=cp
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp target/classes:$(cat cp) Producer BOOTSTRAP TOPIC LINE json|arrow COUNT

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.TimeStampNanoTZVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.dictionary.Dictionary;
import org.apache.arrow.vector.dictionary.DictionaryProvider.MapDictionaryProvider;
import org.apache.arrow.vector.ipc.ArrowStreamWriter;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.DictionaryEncoding;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Producer {
    static final Instant BEGIN = Instant.parse("2026-03-02T06:00:00Z");
    static final int PER_RECORD = 100;
    static final ObjectMapper JSON = new ObjectMapper().registerModule(new JavaTimeModule())
        .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS); // else an Instant is a number with a fraction

    record Event(String type, Instant ts, String line, String station, long good, long seq) {}

    static byte[] asJson(String line, int k) throws Exception {
        return JSON.writeValueAsBytes(new Event("count", BEGIN.plusSeconds(k), line, "st", k % 5, k));
    }

    /** One stream of one batch, closed; the dictionaries begin anew. */
    static byte[] asArrow(RootAllocator memory, String line, int first, int last) throws Exception {
        int rows = last - first;
        var out = new ByteArrayOutputStream();
        var ts = new TimeStampNanoTZVector("ts", memory, "UTC");
        var good = new BigIntVector("good", memory);
        var seq = new BigIntVector("seq", memory);
        for (int i = 0; i < rows; i++) {
            ts.setSafe(i, BEGIN.getEpochSecond() * 1_000_000_000L + (first + i) * 1_000_000_000L);
            good.setSafe(i, (first + i) % 5);
            seq.setSafe(i, first + i);
        }
        try (var dictionaries = new MapDictionaryProvider()) {
            List<FieldVector> columns = List.of(
                word(memory, dictionaries, 1, "type", "count", rows), ts,
                word(memory, dictionaries, 2, "line", line, rows), word(memory, dictionaries, 3, "station", "st", rows),
                good, seq);
            for (FieldVector column : columns) column.setValueCount(rows);
            try (var root = new VectorSchemaRoot(columns);
                 var writer = new ArrowStreamWriter(root, dictionaries, Channels.newChannel(out))) {
                root.setRowCount(rows);
                writer.start();
                writer.writeBatch();
            }
        }
        return out.toByteArray();
    }

    /** A column that holds one word in all rows, as a dictionary with int32 indices. */
    static IntVector word(RootAllocator memory, MapDictionaryProvider all, long id, String name, String text, int rows) {
        var encoding = new DictionaryEncoding(id, false, new ArrowType.Int(32, true));
        var words = new VarCharVector(name, memory);
        words.setSafe(0, text.getBytes(UTF_8));
        words.setValueCount(1);
        all.put(new Dictionary(words, encoding));
        var column = new IntVector(name, new FieldType(true, new ArrowType.Int(32, true), encoding), memory);
        for (int i = 0; i < rows; i++) column.setSafe(i, 0);
        return column;
    }

    public static void main(String[] args) throws Exception {
        String topic = args[1], line = args[2];
        int count = Integer.parseInt(args[4]);
        // No partitioner.class: the default is murmur2 of the key.
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "acks", "all", "linger.ms", 20);
        List<Future<?>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
             var memory = new RootAllocator()) {
            if (args[3].equals("arrow")) {
                for (int first = 0; first < count; first += PER_RECORD) {
                    var value = asArrow(memory, line, first, Math.min(first + PER_RECORD, count));
                    var record = new ProducerRecord<>(topic, line, value);
                    record.headers().add("content-type", "application/vnd.apache.arrow.stream".getBytes(UTF_8));
                    sent.add(producer.send(record));
                }
            } else {
                for (int k = 0; k < count; k++) sent.add(producer.send(new ProducerRecord<>(topic, line, asJson(line, k))));
            }
            for (Future<?> one : sent) one.get();
        }
    }
}
