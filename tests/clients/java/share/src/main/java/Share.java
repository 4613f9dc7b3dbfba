// SPDX-License-Identifier: Apache-2.0
// A member of a share group on Apache Kafka's Java client: reads until it is told to end, and does with each
// record what `ack` says:
//   implicit  what was polled is accepted by the next poll
//   accept    accepted one by one, committed before the next poll
//   release   released the first time, accepted when it comes again
//   reject    rejected
//   hold      nothing is said
//   renew     its lock is renewed for renewMs, then it is accepted
// Arguments: bootstrap, topic, group, ack, and whatever has a dot in it for the consumer. Lines: "B" when it
// has begun to poll, "R partition offset key value deliveries" per record, "E text" for a failed commit.

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Share {
    private static final Map<String, String> arguments = new HashMap<>();

    private static volatile boolean stopped;

    private static synchronized void say(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields)
            line.append(line.length() > 0 ? "\t" : "").append(field);
        System.out.println(line);
        System.out.flush();
    }

    private static KafkaShareConsumer<String, String> consumer() {
        Properties values = new Properties();
        values.put("bootstrap.servers", arguments.get("bootstrap"));
        values.put("group.id", arguments.get("group"));
        values.put("share.acknowledgement.mode", arguments.get("ack").equals("implicit") ? "implicit" : "explicit");
        arguments.forEach((key, value) -> {
            if (key.contains("."))
                values.put(key, value);
        });
        return new KafkaShareConsumer<>(values, new StringDeserializer(), new StringDeserializer());
    }

    private static AcknowledgeType type(ConsumerRecord<String, String> record) {
        switch (arguments.get("ack")) {
            case "release":
                return record.deliveryCount().orElse((short) 1) == 1 ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
            case "reject":
                return AcknowledgeType.REJECT;
            default:
                return AcknowledgeType.ACCEPT;
        }
    }

    private static void commit(KafkaShareConsumer<String, String> consumer) {
        consumer.commitSync().forEach((partition, error) -> error.ifPresent(what -> say("E", what)));
    }

    private static void renew(KafkaShareConsumer<String, String> consumer, ConsumerRecords<String, String> records)
            throws InterruptedException {
        long end = System.nanoTime() + Long.parseLong(arguments.get("renewMs")) * 1_000_000;
        while (System.nanoTime() < end) {
            for (ConsumerRecord<String, String> record : records)
                consumer.acknowledge(record, AcknowledgeType.RENEW);
            commit(consumer);
            consumer.poll(Duration.ofMillis(200));
        }
    }

    private static void consume(KafkaShareConsumer<String, String> consumer) throws InterruptedException {
        String ack = arguments.get("ack");
        consumer.subscribe(Set.of(arguments.get("topic").split(",")));
        say("B");
        while (!stopped) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
            for (ConsumerRecord<String, String> record : records)
                say("R", record.partition(), record.offset(), record.key(), record.value(), record.deliveryCount().orElse((short) 0));
            if (ack.equals("implicit"))
                continue;
            if (ack.equals("hold") && !records.isEmpty())
                while (!stopped)
                    Thread.sleep(20);
            if (ack.equals("renew") && !records.isEmpty())
                renew(consumer, records);
            for (ConsumerRecord<String, String> record : records)
                consumer.acknowledge(record, type(record));
            commit(consumer);
        }
    }

    public static void main(String[] words) throws Exception {
        for (String word : words) {
            int equals = word.indexOf('=');
            arguments.put(word.substring(0, equals), word.substring(equals + 1));
        }
        KafkaShareConsumer<String, String> consumer = consumer();
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped = true;
            consumer.wakeup();
            try {
                main.join(10_000);
            } catch (InterruptedException ignored) {
                Thread.currentThread().interrupt();
            }
            Runtime.getRuntime().halt(main.isAlive() ? 1 : 0);
        }));
        try {
            consume(consumer);
        } catch (WakeupException told) {
            // the end
        } finally {
            consumer.close();
        }
    }
}
