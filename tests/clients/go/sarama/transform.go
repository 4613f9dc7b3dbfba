// SPDX-License-Identifier: Apache-2.0
// What java/transform does, on sarama. A claim's goroutine has the one transaction of the member to itself while it
// copies a batch; what was aborted it copies anew, and the group's generation in the transaction's offsets (KIP-447)
// keeps out a member whose partition has gone to another.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/IBM/sarama"
)

const (
	batchMax  = 40
	batchWait = 200 * time.Millisecond
)

var options = map[string]string{}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = time.Second
	config.Metadata.Retry.Max = 100
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Producer.Return.Successes = true
	config.Producer.Retry.Max = 200
	config.Producer.Transaction.ID = options["id"]
	config.Producer.Transaction.Timeout = 10 * time.Second
	config.Producer.Transaction.Retry.Max = 200
	config.Producer.Transaction.Retry.Backoff = 100 * time.Millisecond
	config.Net.MaxOpenRequests = 1
	return config
}

// The member's producer, and how far it has come.
type copier struct {
	producer           sarama.SyncProducer
	lock               sync.Mutex
	transactions, done int
}

func (c *copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *copier) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		batch := gather(session.Context(), claim)
		if len(batch) == 0 {
			return nil
		}
		for committed := false; !committed; {
			if session.Context().Err() != nil {
				return nil
			}
			committed = c.copyRound(session, batch)
		}
		session.MarkMessage(batch[len(batch)-1], "")
	}
}

// Records of a claim; none when it has ended.
func gather(session context.Context, claim sarama.ConsumerGroupClaim) (batch []*sarama.ConsumerMessage) {
	var timeout <-chan time.Time
	for len(batch) < batchMax {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			batch = append(batch, message)
			if timeout == nil {
				timeout = time.After(batchWait)
			}
		case <-timeout:
			return batch
		case <-session.Done():
			return nil
		}
	}
	return batch
}

// Whether the records are committed.
func (c *copier) copyRound(session sarama.ConsumerGroupSession, batch []*sarama.ConsumerMessage) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.transactions++
	must(c.producer.BeginTxn())
	err := c.fill(session, batch)
	if err == nil && c.transactions%5 != 0 {
		err = c.commit()
		if err == nil {
			c.done += len(batch)
			fmt.Printf("T\t%d\n", c.done)
			return true
		}
	}
	if err != nil {
		fmt.Printf("N\t%v\n", err)
	}
	if c.producer.TxnStatus()&sarama.ProducerTxnFlagFatalError != 0 {
		must(err)
	}
	must(c.producer.AbortTxn())
	return false
}

func (c *copier) fill(session sarama.ConsumerGroupSession, batch []*sarama.ConsumerMessage) error {
	messages := make([]*sarama.ProducerMessage, len(batch))
	for i, one := range batch {
		messages[i] = &sarama.ProducerMessage{Topic: options["to"], Key: sarama.ByteEncoder(one.Key),
			Value: sarama.ByteEncoder(one.Value)}
	}
	if err := c.producer.SendMessages(messages); err != nil {
		return err
	}
	group := sarama.NewConsumerGroupMetadataFromSession(session, options["group"], nil)
	return c.producer.AddMessageToTxnWithGroupMetadata(batch[len(batch)-1], group, nil)
}

// An error that asks for no abort leaves open what has become of the transaction: it is asked for once more.
func (c *copier) commit() (err error) {
	for tries := 0; tries < 10; tries++ {
		err = c.producer.CommitTxn()
		if err == nil || c.producer.TxnStatus()&sarama.ProducerTxnFlagInError != 0 {
			return err
		}
	}
	return err
}

func main() {
	for _, pair := range os.Args[1:] {
		key, value, _ := strings.Cut(pair, "=")
		options[key] = value
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	servers := strings.Split(options["bootstrap"], ",")
	producer, err := sarama.NewSyncProducer(servers, settings())
	must(err)
	group, err := sarama.NewConsumerGroup(servers, options["group"], settings())
	must(err)
	member := &copier{producer: producer}
	for ctx.Err() == nil {
		err = group.Consume(ctx, []string{options["topic"]}, member)
		if errors.Is(err, sarama.ErrClosedConsumerGroup) {
			break
		}
		if err != nil {
			fmt.Printf("N\t%v\n", err)
			time.Sleep(batchWait)
		}
	}
	group.Close()
	producer.Close()
}
