// SPDX-License-Identifier: Apache-2.0
// transform bootstrap=… topic=IN to=OUT group=G id=ID [protocol=consumer]: copies records from one topic to another in transactions that
// carry the group's offsets, every fifth one aborted on purpose, until SIGTERM. What a failure undoes is read again from
// the committed offsets. Prints "T n" with the number of records committed so far.

import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Transform {
    private final Map<String, String> arguments = new HashMap<>();
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private int transactions;
    private volatile boolean stopping;

    private Transform(String[] args) {
        for (String argument : args) {
            String[] pair = argument.split("=", 2);
            arguments.put(pair[0], pair.length == 2 ? pair[1] : "");
        }
        Properties reading = new Properties();
        reading.put("bootstrap.servers", arguments.get("bootstrap"));
        reading.put("group.id", arguments.get("group"));
        reading.put("enable.auto.commit", "false");
        reading.put("auto.offset.reset", "earliest");
        reading.put("isolation.level", "read_committed");
        reading.put("max.poll.records", "40");
        if ("consumer".equals(arguments.get("protocol"))) {
            reading.put("group.protocol", "consumer"); // there the coordinator says how often
        } else {
            reading.put("session.timeout.ms", "6000"); // whoever is killed is missed soon
            reading.put("heartbeat.interval.ms", "1000");
        }
        consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new StringDeserializer());
        Properties writing = new Properties();
        writing.put("bootstrap.servers", arguments.get("bootstrap"));
        writing.put("transactional.id", arguments.get("id"));
        writing.put("transaction.timeout.ms", "10000");
        producer = new KafkaProducer<>(writing, new StringSerializer(), new StringSerializer());
    }

    private void rewind() {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition one : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(one);
            if (offset == null) {
                consumer.seekToBeginning(Collections.singleton(one));
            } else {
                consumer.seek(one, offset.offset());
            }
        }
    }

    // Whether the records are committed.
    private boolean copy(ConsumerRecords<String, String> records) {
        Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(arguments.get("to"), record.key(), record.value()));
            done.put(new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(done, consumer.groupMetadata());
        if (++transactions % 5 == 0) {
            producer.flush();
            producer.abortTransaction();
            return false;
        }
        producer.commitTransaction();
        return true;
    }

    private boolean round(ConsumerRecords<String, String> records) {
        try {
            return copy(records);
        } catch (ProducerFencedException | OutOfOrderSequenceException | AuthorizationException fatal) {
            throw fatal;
        } catch (KafkaException failed) {
            System.out.println("N\t" + failed);
            producer.abortTransaction();
            return false;
        }
    }

    private void run() {
        int done = 0;
        producer.initTransactions();
        consumer.subscribe(Collections.singleton(arguments.get("topic")));
        while (!stopping) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty()) {
                continue;
            }
            if (round(records)) {
                done += records.count();
                System.out.println("T\t" + done);
            } else {
                rewind();
            }
        }
        producer.close();
        consumer.close();
    }

    // SIGTERM ends the process when the hook returns: not before the transaction under way has its end.
    private void stop(Thread running) {
        stopping = true;
        try {
            running.join(20000);
        } catch (InterruptedException interrupted) {
            running.interrupt();
        }
    }

    public static void main(String[] args) {
        Transform transform = new Transform(args);
        Thread running = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> transform.stop(running)));
        transform.run();
    }
}
