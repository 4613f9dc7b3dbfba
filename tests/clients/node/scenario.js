// SPDX-License-Identifier: Apache-2.0
// The client's part of the scenario on kafkajs. KAFKAJS names the package to use, so that two releases share this file.
// Arguments and output lines are described in tests/clients/README.md.
'use strict';

const kafkajs = require(process.env.KAFKAJS || 'kafkajs');
const lz4 = require('lz4-napi');
const snappy = require('kafkajs-snappy');
const { ZstdCodec } = require('zstd-codec');

const FILLER = 'the quick brown fox jumps over the lazy dog; '.repeat(2);
const { CompressionTypes, CompressionCodecs } = kafkajs;
const verb = process.argv[2];
const options = Object.fromEntries(process.argv.slice(3).map((one) => {
    const at = one.indexOf('=');
    return [one.slice(0, at), one.slice(at + 1)];
}));

const number = (key, otherwise) => (key in options ? Number(options[key]) : otherwise);
const say = (...fields) => process.stdout.write(fields.join('\t') + '\n');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function codecs(zstd) {
    const simple = new zstd.Simple();
    CompressionCodecs[CompressionTypes.Snappy] = snappy;
    CompressionCodecs[CompressionTypes.LZ4] = () => ({
        compress: (encoder) => lz4.compressFrame(encoder.buffer),
        decompress: (buffer) => lz4.decompressFrame(buffer),
    });
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
        compress: async (encoder) => Buffer.from(simple.compress(encoder.buffer)),
        decompress: async (buffer) => Buffer.from(simple.decompress(buffer)),
    });
}

// Only names and versions of requests are written of the debug log.
function log() {
    const seen = new Set();
    return ({ level, log: entry }) => {
        const found = /^Request (\w+)\(key: (\d+), version: (\d+)\)/.exec(entry.message);
        if (found && !seen.has(found[0])) {
            seen.add(found[0]);
            process.stderr.write(`apiKey=${found[1]}, apiVersion=${found[3]}\n`);
        } else if (level <= kafkajs.logLevel.WARN) {
            process.stderr.write(`${entry.message} ${entry.error || ''}\n`);
        }
    };
}

const kafka = new kafkajs.Kafka({
    clientId: 'kafkajs', brokers: options.bootstrap.split(','), logLevel: kafkajs.logLevel.DEBUG, logCreator: () => log(),
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
});

async function administer(work) {
    const admin = kafka.admin();
    await admin.connect();
    await work(admin);
    await admin.disconnect();
}

const create = () => administer((admin) => admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic: options.topic, numPartitions: number('partitions', 1), replicationFactor: number('replication', 1) }],
}));

const remove = () => administer((admin) => admin.deleteTopics({ topics: [options.topic] }));

const describe = () => administer(async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [options.topic] });
    topics[0].partitions.forEach((one) => say('D', one.partitionId, one.leader, one.replicas.join(',')));
});

const offsets = () => administer(async (admin) => {
    const found = await admin.fetchTopicOffsetsByTimestamp(options.topic, Number(options.timestamp));
    found.forEach((one) => say('O', one.partition, one.offset));
});

const newPartitioner = kafkajs.Partitioners.LegacyPartitioner // since 2.0
    ? kafkajs.Partitioners.DefaultPartitioner : kafkajs.Partitioners.JavaCompatiblePartitioner;

// kafkajs skips, when it sends again, a partition that moved meanwhile to a broker that has answered already
// (producer/sendMessages.js, brokersWithoutResponse), and loses what it holds: so one send() per partition.
function byPartition(messages) {
    const found = new Map();
    const choose = newPartitioner();
    const partitionMetadata = [...Array(number('partitions', 6)).keys()].map((partitionId) => ({ partitionId, leader: 0 }));
    for (const message of messages) {
        const partition = choose({ topic: options.topic, partitionMetadata, message });
        found.set(partition, [...(found.get(partition) || []), message]);
    }
    return [...found.values()];
}

async function produce() {
    const types = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' };
    const producer = kafka.producer({
        idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, createPartitioner: newPartitioner,
        retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: Number.MAX_SAFE_INTEGER },
    });
    await producer.connect();
    const [count, first, rate, start] = [number('count', 1), number('first', 0), number('rate', 0), Date.now()];
    const size = rate ? 100 : 1000;
    const compression = CompressionTypes[types[options.codec || 'none']];
    for (let done = 0; done < count; done += size) {
        const all = [];
        for (let n = first + done; n < first + Math.min(count, done + size); n++) {
            all.push({ key: `key-${n % 997}`, value: `${n}:${FILLER}` });
        }
        for (const messages of rate ? byPartition(all) : [all]) {
            await producer.send({ topic: options.topic, acks: -1, messages, compression });
        }
        say('acked', Math.min(count, done + size));
        if (rate) {
            await sleep(Math.max(0, start + (done + size) * 1000 / rate - Date.now()));
        }
    }
    await producer.disconnect();
}

function batchHandler(consumer, count, finish) {
    let seen = 0;
    return async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
        for (const message of batch.messages) {
            if (seen === count || !isRunning() || isStale()) {
                break;
            }
            seen++;
            say('R', batch.partition, message.offset, message.key, message.value);
            resolveOffset(message.offset);
            if (seen % 500 === 0) {
                await heartbeat();
            }
        }
        await heartbeat();
        if (seen === count) {
            finish();
        }
    };
}

// eachBatch commits what was resolved after every batch (eachBatchAutoResolve off, autoCommitThreshold 1).
async function consume() {
    const consumer = kafka.consumer({
        groupId: options.group, sessionTimeout: number('session', 6000), heartbeatInterval: 500, rebalanceTimeout: 10000,
        allowAutoTopicCreation: false, maxWaitTimeInMs: 200,
    });
    const done = new Promise((finish) => {
        process.on('SIGTERM', finish);
        consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
            say('A', (payload.memberAssignment[options.topic] || []).join(',')));
        consumer.on(consumer.events.CRASH, ({ payload }) => process.stderr.write(`crash: ${payload.error}\n`));
        consumer.connect()
            .then(() => consumer.subscribe({ topic: options.topic, fromBeginning: true }))
            .then(() => consumer.run({
                eachBatchAutoResolve: false, autoCommitThreshold: 1,
                eachBatch: batchHandler(consumer, number('count', Infinity), finish),
            }));
    });
    await done;
    await consumer.stop();
    await consumer.disconnect();
}

ZstdCodec.run((zstd) => {
    codecs(zstd);
    const verbs = { create, delete: remove, describe, offsets, produce, consume };
    // Exit only once standard output has taken all: a pipe may still be full.
    verbs[verb]().then(() => process.stdout.write('', () => process.exit(0)), (error) => {
        process.stderr.write(`${error.stack}\n`);
        process.exit(1);
    });
});
