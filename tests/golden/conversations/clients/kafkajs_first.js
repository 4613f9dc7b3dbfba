// SPDX-License-Identifier: Apache-2.0
// The client's part of a recorded conversation: a producer, then a consumer in a group.
const { Kafka, logLevel } = require('kafkajs')

const kafka = new Kafka({ clientId: 'kafkajs', brokers: [process.env.MILLRACE_BOOTSTRAP], logLevel: logLevel.ERROR })

async function main () {
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: 'first', messages: [{ key: 'a', value: '1' }, { key: 'b', value: '2' }] })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: 'first-kafkajs' })
  await consumer.connect()
  await consumer.subscribe({ topics: ['first'], fromBeginning: true })
  let seen = 0
  await new Promise((resolve, reject) => {
    setTimeout(reject, 60000, new Error('nothing was read'))
    consumer.run({ eachMessage: async () => { if (++seen === 2) resolve() } })
  })
  await consumer.disconnect()
  process.exit(0)
}

main().catch((error) => { console.error(error); process.exit(1) })
