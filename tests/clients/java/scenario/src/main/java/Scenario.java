// SPDX-License-Identifier: Apache-2.0
// The client's part of the scenario on Apache Kafka's Java client, from 2.1 to the newest: only calls all of them have.
// Arguments and output lines are described in tests/clients/README.md.

import java.nio.charset.StandardCharsets;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Scenario {
    private static final Map<String, String> arguments = new HashMap<>();
    private static final String FILLER = "the quick brown fox jumps over the lazy dog; ".repeat(2);

    private static String text(String key) {
        return arguments.get(key);
    }

    private static int number(String key, int otherwise) {
        return arguments.containsKey(key) ? Integer.parseInt(text(key)) : otherwise;
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static Properties common() {
        Properties values = new Properties();
        values.put("bootstrap.servers", text("bootstrap"));
        values.put("client.id", "java");
        arguments.keySet().stream().filter(key -> key.contains(".")).forEach(key -> values.put(key, text(key)));
        return values;
    }

    private static void create() throws Exception {
        try (AdminClient admin = AdminClient.create(common())) {
            NewTopic topic = new NewTopic(text("topic"), number("partitions", 1), (short) number("replication", 1));
            admin.createTopics(Collections.singleton(topic)).all().get();
        }
    }

    private static void delete() throws Exception {
        try (AdminClient admin = AdminClient.create(common())) {
            admin.deleteTopics(Collections.singleton(text("topic"))).all().get();
        }
    }

    private static KafkaProducer<String, String> producer() {
        Properties values = common();
        values.put("acks", "all");
        values.put("enable.idempotence", "true");
        values.put("compression.type", text("codec"));
        values.put("linger.ms", "5");
        values.put("key.serializer", StringSerializer.class.getName());
        values.put("value.serializer", StringSerializer.class.getName());
        return new KafkaProducer<>(values);
    }

    private static void describe() {
        try (KafkaProducer<String, String> producer = producer()) {
            for (PartitionInfo info : producer.partitionsFor(text("topic"))) {
                List<String> replicas = new ArrayList<>();
                for (Node node : info.replicas()) {
                    replicas.add(node.idString());
                }
                say("D\t" + info.partition() + "\t" + (info.leader() == null ? -1 : info.leader().id()) + "\t"
                    + String.join(",", replicas));
            }
        }
    }

    private static void produce() throws Exception {
        int count = number("count", 1);
        int first = number("first", 0);
        int rate = number("rate", 0);
        boolean each = number("each", 0) != 0;
        AtomicInteger acked = new AtomicInteger();
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (KafkaProducer<String, String> producer = producer()) {
            long start = System.nanoTime();
            for (int i = 0; i < count && failed.get() == null; i++) {
                int n = first + i;
                producer.send(new ProducerRecord<>(text("topic"), "key-" + n % 997, n + ":" + FILLER), (meta, error) -> {
                    if (error != null) {
                        failed.compareAndSet(null, error);
                        return;
                    }
                    if (each) {
                        say("K\t" + meta.partition());
                    }
                    if (acked.incrementAndGet() % 1000 == 0) {
                        say("acked\t" + acked.get());
                    }
                });
                if (rate > 0 && (i + 1) % 10 == 0) {
                    long due = start + (i + 1) * 1_000_000_000L / rate - System.nanoTime();
                    Thread.sleep(Math.max(0, due / 1_000_000));
                }
            }
        }
        if (failed.get() != null) {
            throw failed.get();
        }
        say("acked\t" + acked.get());
    }

    // Lines of another source ("key<TAB>value") from standard input, for the package catalogue.
    private static void feed() throws Exception {
        Semaphore room = new Semaphore(20000);
        AtomicInteger acked = new AtomicInteger();
        AtomicReference<Exception> failed = new AtomicReference<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (KafkaProducer<String, String> producer = producer()) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                int tab = line.indexOf('\t');
                room.acquire();
                producer.send(new ProducerRecord<>(text("topic"), line.substring(0, tab), line.substring(tab + 1)),
                    (meta, error) -> {
                        room.release();
                        if (error != null) {
                            failed.compareAndSet(null, error);
                        } else {
                            acked.incrementAndGet();
                        }
                    });
            }
        }
        if (failed.get() != null) {
            throw failed.get();
        }
        say("acked\t" + acked.get());
    }

    private static KafkaConsumer<String, String> consumer() {
        Properties values = common();
        values.put("group.id", arguments.getOrDefault("group", "none"));
        values.put("enable.auto.commit", "false");
        values.put("auto.offset.reset", "earliest");
        if (!"consumer".equals(values.get("group.protocol"))) { // there the coordinator says how often
            values.put("session.timeout.ms", arguments.getOrDefault("session", "6000"));
            values.put("heartbeat.interval.ms", "500");
        }
        values.put("key.deserializer", StringDeserializer.class.getName());
        values.put("value.deserializer", StringDeserializer.class.getName());
        return new KafkaConsumer<>(values);
    }

    private static void sayAssignment(Collection<TopicPartition> assigned) {
        TreeSet<Integer> partitions = new TreeSet<>();
        assigned.forEach(one -> partitions.add(one.partition()));
        say("A\t" + partitions.toString().replaceAll("[\\[\\] ]", ""));
    }

    private static void consume() {
        KafkaConsumer<String, String> consumer = consumer();
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join(10000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        consumer.subscribe(Collections.singleton(text("topic")), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                Collection<TopicPartition> kept = new ArrayList<>(consumer.assignment());
                kept.removeAll(partitions);
                sayAssignment(kept);
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                sayAssignment(consumer.assignment());
            }
        });
        try {
            read(consumer, number("count", Integer.MAX_VALUE));
        } catch (WakeupException stopped) {
            // SIGTERM: what was read so far has been committed, close() leaves the group
        }
        consumer.close(Duration.ofSeconds(5));
        Runtime.getRuntime().halt(0); // leaving is no failure, whatever started it
    }

    // A round that a rebalance overtook is not committed; its records come again.
    private static void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> done) {
        try {
            consumer.commitSync(done);
        } catch (org.apache.kafka.clients.consumer.CommitFailedException
                 | org.apache.kafka.common.errors.RetriableException rebalanced) {
            say("N\t" + rebalanced.getClass().getSimpleName());
            return;
        }
        done.forEach((where, what) -> say("C\t" + where.partition() + "\t" + what.offset()));
    }

    private static void read(KafkaConsumer<String, String> consumer, int count) {
        int seen = 0;
        while (seen < count) {
            Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                if (seen == count) {
                    break;
                }
                seen++;
                say("R\t" + record.partition() + "\t" + record.offset() + "\t" + record.key() + "\t" + record.value());
                done.put(new TopicPartition(record.topic(), record.partition()),
                    new OffsetAndMetadata(record.offset() + 1));
            }
            if (!done.isEmpty()) {
                commit(consumer, done);
            }
        }
    }

    private static void offsets() {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            Map<TopicPartition, Long> wanted = new HashMap<>();
            for (PartitionInfo info : consumer.partitionsFor(text("topic"))) {
                wanted.put(new TopicPartition(info.topic(), info.partition()), Long.parseLong(text("timestamp")));
            }
            Map<TopicPartition, OffsetAndTimestamp> found = consumer.offsetsForTimes(wanted);
            wanted.keySet().forEach(one ->
                say("O\t" + one.partition() + "\t" + (found.get(one) == null ? -1 : found.get(one).offset())));
        }
    }

    public static void main(String[] args) throws Exception {
        for (String argument : args) {
            String[] pair = argument.split("=", 2);
            arguments.put(pair[0], pair.length == 2 ? pair[1] : "");
        }
        arguments.putIfAbsent("codec", "none");
        switch (args[0]) {
            case "create": create(); break;
            case "delete": delete(); break;
            case "describe": describe(); break;
            case "produce": produce(); break;
            case "feed": feed(); break;
            case "consume": consume(); break;
            case "offsets": offsets(); break;
            default: throw new IllegalArgumentException(args[0]);
        }
    }
}
