// SPDX-License-Identifier: Apache-2.0
// The client's part of a recorded conversation: a producer (idempotent by default), then a consumer in a group.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seeds := kgo.SeedBrokers(os.Getenv("MILLRACE_BOOTSTRAP"))
	producer, err := kgo.NewClient(seeds, kgo.AllowAutoTopicCreation())
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "first", Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
		log.Fatal(err)
	}
	producer.Close()
	consumer, err := kgo.NewClient(seeds, kgo.ConsumerGroup("first-franz"), kgo.ConsumeTopics("first"))
	if err != nil {
		log.Fatal(err)
	}
	for seen := 0; seen < 1; {
		fetches := consumer.PollFetches(ctx)
		if ctx.Err() != nil {
			log.Fatal(ctx.Err())
		}
		seen += fetches.NumRecords()
	}
	if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
		log.Fatal(err)
	}
	consumer.Close()
}
