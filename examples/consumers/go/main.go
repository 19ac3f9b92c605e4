// Lines, key figures and alerts of the twin in Go:  go run . BOOTSTRAP [PREFIX] [IDLE_SECONDS]
//
// Reads from the beginning, prints one line per record, leaves repeats out by their id, and ends after IDLE_SECONDS without
// another record (0, the default: never).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const mostIDs = 100_000 // a repeat comes within seconds of the first: docs/client.md

// row has what is printed; docs/schemas has all fields. Pointers: null where there is none.
type row struct {
	ID, Set, Line, State, Window, End, Kind, Action, Ts, Newest string
	Station                                                     *string
}

// seen remembers the ids of the last records of one partition.
type seen struct {
	ids   map[string]bool
	order []string
}

func (s *seen) isNews(id string) bool {
	if s.ids[id] {
		return false
	}
	s.ids[id] = true
	if s.order = append(s.order, id); len(s.order) > mostIDs {
		delete(s.ids, s.order[0])
		s.order = s.order[1:]
	}
	return true
}

func (r row) told() string {
	station := "-"
	if r.Station != nil {
		station = *r.Station
	}
	switch r.Set {
	case "": // a view of a line: provisional, without an id
		return strings.Join([]string{"lines", r.Line, r.State, r.Newest}, "\t")
	case "alerts":
		return strings.Join([]string{r.Set, r.Line, station, r.Kind + " " + r.Action, r.Ts, r.ID}, "\t")
	}
	return strings.Join([]string{r.Set, r.Line, station, r.Window, r.End, r.ID}, "\t")
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "consumer BOOTSTRAP [PREFIX] [IDLE_SECONDS]")
		os.Exit(2)
	}
	prefix, idle := "twin", 0.0
	if len(os.Args) > 2 {
		prefix = os.Args[2]
	}
	if len(os.Args) > 3 {
		idle, _ = strconv.ParseFloat(os.Args[3], 64)
	}
	// No group: nothing is committed, so any number of these can run beside each other.
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Args[1], ",")...),
		kgo.ConsumeTopics(prefix+".lines", prefix+".kpis", prefix+".alerts"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	known := map[string]*seen{}
	for last := (time.Time{}); idle == 0 || last.IsZero() || time.Since(last).Seconds() < idle; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		fetched := client.PollFetches(ctx)
		cancel()
		fetched.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				fmt.Fprintf(os.Stderr, "%s/%d: %v\n", topic, partition, err)
			}
		})
		fetched.EachRecord(func(record *kgo.Record) {
			last = time.Now()
			var r row
			if err := json.Unmarshal(record.Value, &r); err != nil {
				fmt.Fprintf(os.Stderr, "%s/%d at %d: %v\n", record.Topic, record.Partition, record.Offset, err)
				return
			}
			place := fmt.Sprintf("%s/%d", record.Topic, record.Partition)
			if known[place] == nil {
				known[place] = &seen{ids: map[string]bool{}}
			}
			if r.ID == "" || known[place].isNews(r.ID) {
				fmt.Fprintln(out, r.told())
			}
		})
		out.Flush()
	}
}
