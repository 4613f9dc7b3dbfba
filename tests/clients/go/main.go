// SPDX-License-Identifier: Apache-2.0
// The client's part of the scenario on franz-go, the oldest and the newest release of its first version:
// old.mod and go.mod.
// Arguments and output lines are described in tests/clients/README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	options = map[string]string{"codec": "none"}
	filler  = strings.Repeat("the quick brown fox jumps over the lazy dog; ", 2)
	output  sync.Mutex
)

func say(fields ...interface{}) {
	words := make([]string, len(fields))
	for i, field := range fields {
		words[i] = fmt.Sprint(field)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(strings.Join(words, "\t"))
}

func number(key string, otherwise int) int {
	if text, ok := options[key]; ok {
		value, _ := strconv.Atoi(text)
		return value
	}
	return otherwise
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Of the debug log only the requests' names and versions are written, once each, and warnings.
type logger struct {
	seen sync.Map
}

var written = regexp.MustCompile(`^wrote (\w+) v(\d+)`)

func (*logger) Level() kgo.LogLevel { return kgo.LogLevelDebug }

func (l *logger) Log(level kgo.LogLevel, message string, more ...interface{}) {
	if found := written.FindString(message); found != "" {
		if _, again := l.seen.LoadOrStore(found, true); !again {
			fmt.Fprintln(os.Stderr, found)
		}
	} else if level <= kgo.LogLevelWarn {
		fmt.Fprintln(os.Stderr, message, more)
	}
}

func client(more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(options["bootstrap"], ",")...),
		kgo.ClientID("franz-go"),
		kgo.WithLogger(&logger{}),
		kgo.MetadataMinAge(200 * time.Millisecond),
	}, more...)...)
	must(err)
	return made
}

func create(ctx context.Context) {
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic = options["topic"]
	topic.NumPartitions = int32(number("partitions", 1))
	topic.ReplicationFactor = int16(number("replication", 1))
	request.TimeoutMillis = 10000
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, client())
	must(err)
	must(kerr.ErrorForCode(answer.Topics[0].ErrorCode))
}

func remove(ctx context.Context) {
	request := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(options["topic"])
	request.TimeoutMillis = 10000
	request.Topics = append(request.Topics, topic)
	request.TopicNames = append(request.TopicNames, options["topic"])
	answer, err := request.RequestWith(ctx, client())
	must(err)
	must(kerr.ErrorForCode(answer.Topics[0].ErrorCode))
}

func partitions(ctx context.Context, from *kgo.Client) []kmsg.MetadataResponseTopicPartition {
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(options["topic"])
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, from)
	must(err)
	must(kerr.ErrorForCode(answer.Topics[0].ErrorCode))
	return answer.Topics[0].Partitions
}

func describe(ctx context.Context) {
	for _, one := range partitions(ctx, client()) {
		replicas := make([]string, len(one.Replicas))
		for i, node := range one.Replicas {
			replicas[i] = strconv.Itoa(int(node))
		}
		say("D", one.Partition, one.Leader, strings.Join(replicas, ","))
	}
}

func offsets(ctx context.Context) {
	from := client()
	timestamp, err := strconv.ParseInt(options["timestamp"], 10, 64)
	must(err)
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = options["topic"]
	for _, one := range partitions(ctx, from) {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition = one.Partition
		partition.CurrentLeaderEpoch = -1
		partition.Timestamp = timestamp
		topic.Partitions = append(topic.Partitions, partition)
	}
	request.Topics = append(request.Topics, topic)
	for _, shard := range from.RequestSharded(ctx, request) { // one request per leader
		must(shard.Err)
		for _, found := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
			must(kerr.ErrorForCode(found.ErrorCode))
			say("O", found.Partition, found.Offset)
		}
	}
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func produce(ctx context.Context) {
	producer := client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(codecs[options["codec"]]))
	count, first, rate := number("count", 1), number("first", 0), number("rate", 0)
	var acked int64
	start := time.Now()
	for i := 0; i < count; i++ {
		n := first + i
		record := &kgo.Record{Topic: options["topic"], Key: []byte(fmt.Sprintf("key-%d", n%997)),
			Value: []byte(fmt.Sprintf("%d:%s", n, filler))}
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			must(err)
			if now := atomic.AddInt64(&acked, 1); now%1000 == 0 {
				say("acked", now)
			}
		})
		if rate > 0 && (i+1)%100 == 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i+1) * time.Second / time.Duration(rate))))
		}
	}
	must(producer.Flush(ctx))
	say("acked", acked)
	producer.Close()
}

func sayAssigned(held map[int32]bool) {
	numbers := []int{}
	for one := range held {
		numbers = append(numbers, int(one))
	}
	sort.Ints(numbers)
	say("A", strings.Trim(strings.Replace(fmt.Sprint(numbers), " ", ",", -1), "[]"))
}

func group(assigned, revoked func(context.Context, *kgo.Client, map[string][]int32)) []kgo.Opt {
	return []kgo.Opt{kgo.ConsumerGroup(options["group"]), kgo.ConsumeTopics(options["topic"]),
		kgo.OnPartitionsAssigned(assigned), kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(revoked)}
}

func consume(ctx context.Context) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	held, lock := map[int32]bool{}, sync.Mutex{}
	change := func(present bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			for _, one := range changed[options["topic"]] {
				if present {
					held[one] = true
				} else {
					delete(held, one)
				}
			}
			sayAssigned(held)
		}
	}
	consumer := client(append(group(change(true), change(false)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(time.Duration(number("session", 6000))*time.Millisecond), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.FetchMaxWait(200*time.Millisecond))...)
	read(ctx, consumer, number("count", 1<<30))
	consumer.LeaveGroup()
	consumer.Close()
}

func read(ctx context.Context, consumer *kgo.Client, count int) {
	for seen := 0; seen < count && ctx.Err() == nil; {
		fetches := consumer.PollFetches(ctx)
		done := map[int32]kgo.EpochOffset{}
		fetches.EachRecord(func(record *kgo.Record) {
			if seen == count {
				return
			}
			seen++
			say("R", record.Partition, record.Offset, string(record.Key), string(record.Value))
			done[record.Partition] = kgo.EpochOffset{Epoch: record.LeaderEpoch, Offset: record.Offset + 1}
		})
		if len(done) == 0 {
			continue
		}
		wanted := map[string]map[int32]kgo.EpochOffset{options["topic"]: done}
		consumer.CommitOffsetsSync(context.Background(), wanted,
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
				if err != nil {
					say("N", err)
				}
			})
	}
}

func main() {
	for _, argument := range os.Args[2:] {
		pair := strings.SplitN(argument, "=", 2)
		options[pair[0]] = pair[1]
	}
	verbs := map[string]func(context.Context){"create": create, "delete": remove, "describe": describe,
		"offsets": offsets, "produce": produce, "consume": consume, "transform": transform}
	verbs[os.Args[1]](context.Background())
}
