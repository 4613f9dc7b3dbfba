// SPDX-License-Identifier: Apache-2.0
// transform bootstrap=… topic=IN to=OUT group=G count=N: copies records from one topic to another in transactions that
// carry the group's offsets, every fifth one aborted on purpose, until N records are committed. What a failure undoes is
// read again from the committed offsets. Prints "T n" now and then, and at the end.

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
        consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new StringDeserializer());
        Properties writing = new Properties();
        writing.put("bootstrap.servers", arguments.get("bootstrap"));
        writing.put("transactional.id", arguments.get("group"));
        writing.put("transaction.timeout.ms", "20000");
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
        int count = Integer.parseInt(arguments.get("count"));
        producer.initTransactions();
        consumer.subscribe(Collections.singleton(arguments.get("topic")));
        for (int done = 0; done < count;) {
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

    public static void main(String[] args) {
        new Transform(args).run();
    }
}
