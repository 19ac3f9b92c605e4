// Events as JSON or Arrow in Go:  go run . BOOTSTRAP TOPIC LINE json|arrow COUNT
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

const perRecord = 100

var begin = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

// event: no omitempty on numbers, it would leave a 0 out.
type event struct {
	Type    string    `json:"type"`
	Ts      time.Time `json:"ts"`
	Line    string    `json:"line"`
	Station string    `json:"station"`
	Good    int64     `json:"good"`
	Seq     int64     `json:"seq"`
}

func asJSON(line string, k int) []byte {
	value, err := json.Marshal(event{"count", begin.Add(time.Duration(k) * time.Second), line, "st", int64(k % 5), int64(k)})
	if err != nil {
		panic(err)
	}
	return value
}

// asArrow gives one stream of one batch, closed. The builder is new each time: one that is kept keeps the words of its
// dictionaries, and every record would carry all that were ever used.
func asArrow(line string, first, last int) []byte {
	word := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "type", Type: word}, {Name: "ts", Type: &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}},
		{Name: "line", Type: word}, {Name: "station", Type: word},
		{Name: "good", Type: arrow.PrimitiveTypes.Int64}, {Name: "seq", Type: arrow.PrimitiveTypes.Int64},
	}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	texts := map[int]string{0: "count", 2: line, 3: "st"}
	for k := first; k < last; k++ {
		for column, text := range texts {
			if err := builder.Field(column).(*array.BinaryDictionaryBuilder).AppendString(text); err != nil {
				panic(err)
			}
		}
		builder.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(begin.UnixNano() + int64(k)*int64(time.Second)))
		builder.Field(4).(*array.Int64Builder).Append(int64(k % 5))
		builder.Field(5).(*array.Int64Builder).Append(int64(k))
	}
	record := builder.NewRecordBatch()
	defer record.Release()
	var buffer bytes.Buffer
	writer := ipc.NewWriter(&buffer, ipc.WithSchema(schema))
	if err := writer.Write(record); err != nil {
		panic(err)
	}
	if err := writer.Close(); err != nil { // before the bytes are taken: not deferred
		panic(err)
	}
	return buffer.Bytes()
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "producer BOOTSTRAP TOPIC LINE json|arrow COUNT")
		os.Exit(2)
	}
	topic, line, form := os.Args[2], os.Args[3], os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		panic(err)
	}
	// franz-go's default partitioner is Kafka's: murmur2 of the key.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(os.Args[1], ",")...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	var records []*kgo.Record
	if form == "arrow" {
		headers := []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/vnd.apache.arrow.stream")}}
		for first := 0; first < count; first += perRecord {
			value := asArrow(line, first, min(first+perRecord, count))
			records = append(records, &kgo.Record{Key: []byte(line), Value: value, Headers: headers})
		}
	} else {
		for k := range count {
			records = append(records, &kgo.Record{Key: []byte(line), Value: asJSON(line, k)})
		}
	}
	if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		panic(err)
	}
}
