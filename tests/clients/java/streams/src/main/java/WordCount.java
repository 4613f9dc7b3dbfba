// SPDX-License-Identifier: Apache-2.0
// wordcount bootstrap=… topic=IN to=OUT group=G state=DIR [protocol=streams] [threads=N] [endpoint=HOST:PORT]: counts
// words with Kafka Streams, exactly once (exactly_once_v2), until SIGTERM. Every change of a count is written, so a word's
// counts in OUT are 1, 2, 3 … each of them once. With protocol=streams the group is one of KIP-1071, and what the threads
// have is told whenever it changes: K <tab> active tasks <tab> standby tasks, tasks separated by blanks. With an endpoint
// so is who else has what (metadata of the application): E <tab> host:port=active partitions ...

import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TaskMetadata;
import org.apache.kafka.streams.ThreadMetadata;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;

public final class WordCount {
    private static Topology topology(String from, String to) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(from)
            .flatMapValues(text -> Arrays.asList(text.split("[^a-z]+")))
            .filter((key, word) -> !word.isEmpty())
            .groupBy((key, word) -> word)
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(to);
        return builder.build();
    }

    private static Properties properties(Map<String, String> arguments) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.get("bootstrap"));
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.get("group"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments.get("state"));
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
            BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        if ("streams".equals(arguments.get("protocol"))) {
            properties.put("group.protocol", "streams"); // the group's settings are the coordinator's
        } else {
            properties.put("session.timeout.ms", "6000"); // whoever is killed is missed soon
            properties.put("heartbeat.interval.ms", "1000");
        }
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.getOrDefault("threads", "1"));
        if (arguments.containsKey("endpoint")) {
            properties.put(StreamsConfig.APPLICATION_SERVER_CONFIG, arguments.get("endpoint"));
        }
        properties.put("auto.offset.reset", "earliest");
        return properties;
    }

    private static String tasks(KafkaStreams streams, Function<ThreadMetadata, Set<TaskMetadata>> which) {
        return streams.metadataForLocalThreads().stream()
            .flatMap(thread -> which.apply(thread).stream())
            .map(task -> task.taskId().toString())
            .sorted()
            .collect(Collectors.joining(" "));
    }

    private static String endpoints(KafkaStreams streams) {
        return streams.metadataForAllStreamsClients().stream()
            .map(one -> one.host() + ":" + one.port() + "=" + one.topicPartitions().size() + "/"
                + one.standbyTopicPartitions().size())
            .sorted()
            .collect(Collectors.joining(" "));
    }

    /** Tells what this instance has, and who else has what, whenever that changes. */
    private static void tell(KafkaStreams streams, boolean endpoints) throws InterruptedException {
        String told = "", toldOthers = "";
        for (;;) {
            String now = "K\t" + tasks(streams, ThreadMetadata::activeTasks) + "\t"
                + tasks(streams, ThreadMetadata::standbyTasks);
            if (!now.equals(told)) {
                System.out.println(now);
                told = now;
            }
            String others = endpoints && streams.state() == KafkaStreams.State.RUNNING ? "E\t" + endpoints(streams) : toldOthers;
            if (!others.equals(toldOthers)) {
                System.out.println(others);
                toldOthers = others;
            }
            Thread.sleep(100);
        }
    }

    public static void main(String[] args) throws InterruptedException {
        Map<String, String> arguments = new HashMap<>();
        for (String argument : args) {
            String[] pair = argument.split("=", 2);
            arguments.put(pair[0], pair[1]);
        }
        KafkaStreams streams =
            new KafkaStreams(topology(arguments.get("topic"), arguments.get("to")), properties(arguments));
        streams.setUncaughtExceptionHandler(failed -> {
            System.out.println("N\t" + failed);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            ended.countDown();
        }));
        streams.start();
        if (arguments.containsKey("protocol")) {
            tell(streams, arguments.containsKey("endpoint"));
        }
        ended.await();
    }
}
