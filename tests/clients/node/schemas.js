// SPDX-License-Identifier: Apache-2.0
// The schema registry as @kafkajs/confluent-schema-registry uses it, records through kafkajs:
// schemas.js BOOTSTRAP REGISTRY[,REGISTRY] STEP ends with 0, or with 1 and what went wrong. Each step takes subjects and
// topics of its own.
'use strict';

const assert = require('assert');
const { Kafka, logLevel } = require('kafkajs');
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry');

const [bootstrap, registries, step] = process.argv.slice(2);
const urls = registries.split(',');
const registry = new SchemaRegistry({ host: urls[0] });
const last = () => new SchemaRegistry({ host: urls[urls.length - 1] }); // another process, nothing known yet
const kafka = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING });
const name = 't' + process.pid + Date.now();
const subject = name + '-value';

const record = (title, ...fields) => ({
    type: 'record', name: title, namespace: 'clients',
    fields: fields.map(([field, type, byDefault]) => ({ name: field, type, ...(byDefault === undefined ? {} : { default: byDefault }) })),
});
const ORDER = record('Order', ['id', 'long'], ['item', 'string']);
const ORDER_2 = record('Order', ['id', 'long'], ['item', 'string'], ['count', 'int', 1]);
const ORDER_BAD = record('Order', ['id', 'long'], ['item', 'string'], ['price', 'double']);

async function send(buffers) {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: name, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true });
    await admin.disconnect();
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: name, messages: buffers.map((value) => ({ value })) });
    await producer.disconnect();
}

async function receive(count) {
    const consumer = kafka.consumer({ groupId: name });
    const got = [];
    await consumer.connect();
    await consumer.subscribe({ topic: name, fromBeginning: true });
    await new Promise((done, failed) => {
        const late = setTimeout(() => failed(new Error(`${got.length} of ${count} records`)), 60000);
        consumer.run({
            eachMessage: async ({ message }) => {
                got.push(message.value);
                if (got.length === count) {
                    clearTimeout(late);
                    done();
                }
            },
        });
    });
    await consumer.disconnect();
    return got;
}

async function through(id, values) {
    await send(await Promise.all(values.map((value) => registry.encode(id, value))));
    return receive(values.length);
}

// What the client does not do itself.
async function ask(method, path, url = urls[0]) {
    const answer = await fetch(url + path, { method });
    return { status: answer.status, body: await answer.json() };
}

// Until all processes answer alike: one that does not own the registry's topic reads a moment later.
async function arrived(path) {
    for (const end = Date.now() + 30000; ;) {
        const answers = await Promise.all(urls.map((url) => ask('GET', path, url)));
        if (answers.every((one) => JSON.stringify(one) === JSON.stringify(answers[0]))) {
            return;
        }
        assert.ok(Date.now() < end, `${path} is not alike everywhere`);
    }
}

const register = (schema, more = {}) => registry.register(
    { type: SchemaType.AVRO, schema: JSON.stringify(schema), ...more }, { subject, compatibility: COMPATIBILITY.BACKWARD });

const steps = {
    async wire() {
        const { id } = await register(ORDER);
        const values = Array.from({ length: 100 }, (_, n) => ({ id: n, item: `item ${n}` }));
        const buffers = await through(id, values);
        assert.strictEqual(buffers[0].readUInt8(0), 0);
        assert.strictEqual(buffers[0].readInt32BE(1), id);
        const reader = last();
        assert.deepStrictEqual((await Promise.all(buffers.map((one) => reader.decode(one)))).map((one) => ({ ...one })), values);
    },

    async register() {
        const { id } = await register(ORDER);
        assert.strictEqual((await register(ORDER)).id, id);
        assert.strictEqual(await last().getRegistryId(subject, 1), id);
        assert.strictEqual(await last().getLatestSchemaId(subject), id);
        assert.strictEqual(await last().getRegistryIdBySchema(subject, { type: SchemaType.AVRO, schema: JSON.stringify(ORDER) }), id);
        assert.strictEqual((await last().getSchema(id)).name, 'clients.Order');
        await assert.rejects(registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(ORDER_2) },
            { subject, compatibility: COMPATIBILITY.FULL }), /Compatibility does not match the configuration/);
        await assert.rejects(last().getLatestSchemaId(name), (error) => error.status === 404 && /not found/.test(error.message));
    },

    async evolve() {
        const { id } = await register(ORDER);
        const [buffer] = await through(id, [{ id: 1, item: 'x' }]);
        const newer = (await register(ORDER_2)).id;
        assert.notStrictEqual(newer, id);
        await arrived(`/subjects/${subject}/versions`);
        assert.strictEqual(await last().getLatestSchemaId(subject), newer);
        const read = await last().decode(buffer, { [SchemaType.AVRO]: { readerSchema: ORDER_2 } });
        assert.deepStrictEqual({ ...read }, { id: 1, item: 'x', count: 1 });
    },

    async reject() {
        await register(ORDER);
        await assert.rejects(register(ORDER_BAD), (error) => error.status === 409 && /incompatible/i.test(error.message));
        await assert.rejects(registry.encode(await last().getLatestSchemaId(subject), { id: 'x' }), /invalid|ERR/i);
        assert.deepStrictEqual((await ask('GET', `/subjects/${subject}/versions`)).body, [1]);
    },

    async references() {
        await registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(record('Part', ['name', 'string'])) },
            { subject: name + '-part' });
        const references = [{ name: 'clients.Part', subject: name + '-part', version: 1 }];
        const { id } = await register(record('Whole', ['part', 'clients.Part']), { references });
        const [buffer] = await through(id, [{ part: { name: 'wheel' } }]);
        assert.strictEqual((await last().decode(buffer)).part.name, 'wheel');
        assert.strictEqual((await ask('DELETE', `/subjects/${name}-part`)).body.error_code, 42206);
    },

    // The client has no call for it; it must see what another one has deleted.
    async delete() {
        const { id } = await register(record(name, ['x', 'int']));
        const buffer = await registry.encode(id, { x: 1 });
        await register(record(name, ['x', 'int'], ['y', 'int', 1]));
        assert.strictEqual((await ask('DELETE', `/subjects/${subject}/versions/2`)).body, 2);
        await arrived(`/subjects/${subject}/versions`);
        assert.strictEqual(await last().getLatestSchemaId(subject), id);
        assert.deepStrictEqual((await ask('DELETE', `/subjects/${subject}`)).body, [1]);
        await arrived(`/subjects/${subject}/versions`);
        await assert.rejects(last().getLatestSchemaId(subject), (error) => error.status === 404);
        assert.strictEqual((await last().decode(buffer)).x, 1);
        assert.deepStrictEqual((await ask('DELETE', `/subjects/${subject}?permanent=true`)).body, [1, 2]);
        await arrived(`/schemas/ids/${id}`);
        await assert.rejects(last().decode(buffer), (error) => error.status === 404);
    },

    async json_wire() {
        const schema = JSON.stringify({ title: 'Order', type: 'object', properties: { id: { type: 'integer' }, item: { type: 'string' } },
            required: ['id'], additionalProperties: false });
        const { id } = await registry.register({ type: SchemaType.JSON, schema }, { subject });
        const values = [{ id: 1, item: 'x' }, { id: 2 }];
        const buffers = await through(id, values);
        const reader = last();
        assert.deepStrictEqual(await Promise.all(buffers.map((one) => reader.decode(one))), values);
        await assert.rejects(registry.encode(id, { id: 'x' }));
        await assert.rejects(registry.register({ type: SchemaType.JSON, schema: schema.replace('integer', 'boolean') }, { subject }),
            (error) => error.status === 409);
    },

    // This client writes no places of messages in front of the payload but a 0: the first message.
    async protobuf_wire() {
        const schema = `syntax = "proto3"; package ${name}; message Order { int64 id = 1; string item = 2; }`;
        const { id } = await registry.register({ type: SchemaType.PROTOBUF, schema }, { subject });
        const [buffer] = await through(id, [{ id: 7, item: 'x' }]);
        const read = await last().decode(buffer);
        assert.strictEqual(Number(read.id), 7);
        assert.strictEqual(read.item, 'x');
        await assert.rejects(registry.register({ type: SchemaType.PROTOBUF, schema: schema.replace('int64', 'string') }, { subject }),
            (error) => error.status === 409);
    },
};

steps[step]().then(() => process.exit(0), (error) => {
    process.stderr.write(`${error.stack || error}\n`);
    process.exit(1);
});
