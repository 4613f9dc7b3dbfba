// SPDX-License-Identifier: Apache-2.0
// What java/transform does, on franz-go's GroupTransactSession, which aborts by itself when its group has changed.
package main

import (
	"context"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func session() *kgo.GroupTransactSession {
	made, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(strings.Split(options["bootstrap"], ",")...),
		kgo.WithLogger(&logger{}),
		kgo.TransactionalID(options["id"]),
		kgo.TransactionTimeout(10*time.Second),
		kgo.ConsumerGroup(options["group"]),
		kgo.ConsumeTopics(options["topic"]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(time.Second),
		kgo.FetchMaxWait(200*time.Millisecond),
	)
	must(err)
	return made
}

// Copies what one poll brings; the number of records, 0 when they were not committed.
func copyRound(session *kgo.GroupTransactSession, fetches kgo.Fetches, abort bool) int {
	ctx := context.Background()
	must(session.Begin())
	failed := kgo.AbortingFirstErrPromise(session.Client())
	fetches.EachRecord(func(record *kgo.Record) {
		session.Produce(ctx, &kgo.Record{Topic: options["to"], Key: record.Key, Value: record.Value}, failed.Promise())
	})
	if err := failed.Err(); err != nil {
		say("N", err)
		abort = true
	}
	committed, err := session.End(ctx, kgo.TransactionEndTry(!abort))
	must(err)
	if !committed {
		return 0
	}
	return fetches.NumRecords()
}

func transform(ctx context.Context) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	session := session()
	for done, transactions := 0, 0; ctx.Err() == nil; {
		fetches := session.PollFetches(ctx)
		if fetches.NumRecords() == 0 {
			continue
		}
		transactions++
		if count := copyRound(session, fetches, transactions%5 == 0); count > 0 {
			done += count
			say("T", done)
		}
	}
	session.Close()
}
