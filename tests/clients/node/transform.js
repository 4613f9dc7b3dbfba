// SPDX-License-Identifier: Apache-2.0
// What java/transform does, on kafkajs. Its transactions carry offsets without the group's generation (before KIP-447)
// and do not survive an error, so there is one producer, and one transactional id, per partition read. Whoever begins
// with it fences the one before, and only then asks what is committed: what that has already, it passes over.
'use strict';

// Of the aborted transactions that an answer names, kafkajs takes one per record. When it reads on in the middle of two,
// the second one's first record passes for a committed one, here as at Apache Kafka. So it gets them all at once.
const filter = require.resolve('kafkajs/src/consumer/filterAbortedMessages.js');
require(filter);
require.cache[filter].exports = ({ messages, abortedTransactions }) => {
    const left = new Map(); // by producer: where its aborted transactions begin, in their order
    for (const { producerId, firstOffset } of abortedTransactions || []) {
        left.set(producerId, [...(left.get(producerId) || []), BigInt(firstOffset)]);
    }
    return messages.filter(({ offset, batchContext, isControlRecord }) => {
        const begins = left.get(batchContext.producerId) || [];
        const aborted = batchContext.inTransaction && begins.length > 0 && BigInt(offset) >= begins[0];
        if (aborted && isControlRecord) {
            begins.shift();
        }
        return isControlRecord || !aborted;
    });
};

const kafkajs = require('kafkajs');

const options = Object.fromEntries(process.argv.slice(2).map((one) => {
    const at = one.indexOf('=');
    return [one.slice(0, at), one.slice(at + 1)];
}));
const LEAVE_MS = 10000; // a request may be on its way to a broker that is down
const sleep = (ms) => new Promise((ended) => setTimeout(ended, ms));
const say = (...fields) => process.stdout.write(fields.join('\t') + '\n');

const kafka = new kafkajs.Kafka({
    clientId: 'kafkajs', brokers: options.bootstrap.split(','), logLevel: kafkajs.logLevel.WARN,
    logCreator: () => ({ log }) => process.stderr.write(`${log.message} ${log.error || ''}\n`),
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
});
const admin = kafka.admin();
// Of this generation of the group, by partition: a producer, and the offset that was committed when it began.
const writers = new Map();
let generation = 0;
let transactions = 0;
let done = 0;

async function forget(partition) {
    const writer = writers.get(partition);
    writers.delete(partition);
    if (writer) {
        await writer.producer.disconnect().catch(() => {});
    }
}

async function committed(partition) {
    const [{ partitions }] = await admin.fetchOffsets({ groupId: options.group, topics: [options.topic] });
    const found = partitions.find((one) => one.partition === partition);
    return found ? Number(found.offset) : -1;
}

// The partition's writer, and a transaction of it.
async function begin(partition) {
    const known = writers.get(partition);
    if (known) {
        return [known, await known.producer.transaction()];
    }
    const producer = kafka.producer({
        transactionalId: `${options.group}-${partition}`, transactionTimeout: 10000, idempotent: true, maxInFlightRequests: 1,
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner, retry: { initialRetryTime: 100, retries: 8 },
    });
    const writer = { producer, from: 0 };
    writers.set(partition, writer);
    await producer.connect();
    const transaction = await producer.transaction(); // fences
    writer.from = await committed(partition);
    return [writer, transaction];
}

// Whether the messages are committed.
async function copy(partition, messages) {
    const [{ from }, transaction] = await begin(partition);
    const left = messages.filter((one) => Number(one.offset) >= from);
    if (left.length === 0) {
        await transaction.abort();
        return true;
    }
    // Into the partition of the same number: of a send() to several, kafkajs may lose a part (see scenario.js).
    const copies = left.map(({ key, value }) => ({ key, value, partition }));
    await transaction.send({ topic: options.to, acks: -1, messages: copies });
    const offset = String(Number(left[left.length - 1].offset) + 1);
    await transaction.sendOffsets({
        consumerGroupId: options.group, topics: [{ topic: options.topic, partitions: [{ partition, offset }] }],
    });
    transactions += 1;
    if (transactions % 5 === 0) {
        await transaction.abort();
        return false;
    }
    await transaction.commit();
    done += left.length;
    say('T', done);
    return true;
}

async function eachBatch({ batch, resolveOffset, heartbeat, isRunning, isStale }) {
    const began = generation; // another run of this function has the partition after it
    for (let at = 0; at < batch.messages.length && isRunning() && !isStale() && began === generation;) {
        const messages = batch.messages.slice(at, at + 40);
        const copied = await copy(batch.partition, messages).catch(async (failed) => {
            say('N', failed.message);
            if (began === generation) {
                await forget(batch.partition);
            }
            return false;
        });
        if (copied) {
            at += messages.length;
            resolveOffset(messages[messages.length - 1].offset);
        }
        await heartbeat();
    }
}

async function transform() {
    const consumer = kafka.consumer({
        groupId: options.group, sessionTimeout: 6000, heartbeatInterval: 1000, maxWaitTimeInMs: 200,
        readUncommitted: false,
    });
    await admin.connect();
    await consumer.connect();
    consumer.on(consumer.events.GROUP_JOIN, () => {
        generation += 1;
        [...writers.keys()].forEach(forget);
    });
    await consumer.subscribe({ topic: options.topic, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 3, eachBatch });
    await new Promise((stop) => process.once('SIGTERM', stop));
    generation += 1; // nothing is begun any more
    await Promise.race([consumer.disconnect(), sleep(LEAVE_MS)]);
}

// Connections that wait for a broker would keep the process; what a transaction has not committed nobody sees.
transform().then(() => process.exit(0), (failed) => {
    process.stderr.write(`${failed.stack}\n`);
    process.exit(1);
});
