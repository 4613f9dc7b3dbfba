// SPDX-License-Identifier: Apache-2.0
// The schema registry as Confluent's Java client uses it (CachedSchemaRegistryClient, as Apache Flink bundles it), and
// Flink's serializer and deserializer through a topic: Schemas BOOTSTRAP REGISTRY[,REGISTRY] STEP ends with 0, or with 1
// and what went wrong. Each step takes subjects and topics of its own.

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.ParsedSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.SchemaMetadata;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Config;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Metadata;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.SchemaReference;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.SubjectVersion;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.util.Utf8;
import org.apache.flink.formats.avro.registry.confluent.ConfluentRegistryAvroDeserializationSchema;
import org.apache.flink.formats.avro.registry.confluent.ConfluentRegistryAvroSerializationSchema;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Schemas {
    private interface Step {
        void run() throws Exception;
    }

    private static final String ORDER = record("Order", field("id", "\"long\""), field("item", "\"string\""));
    private static final String ORDER_2 = record("Order", field("id", "\"long\""), field("item", "\"string\""),
            "{\"name\":\"count\",\"type\":\"int\",\"default\":1}");
    private static final String ORDER_BAD = record("Order", field("id", "\"long\""), field("item", "\"string\""),
            field("price", "\"double\""));

    private final String bootstrap;
    private final List<String> urls;
    private final CachedSchemaRegistryClient registry;
    private final String name = "t" + ProcessHandle.current().pid() + "-" + System.currentTimeMillis();
    private final String subject = name + "-value";

    private Schemas(String bootstrap, List<String> urls) {
        this.bootstrap = bootstrap;
        this.urls = urls;
        registry = new CachedSchemaRegistryClient(urls, 100);
    }

    private static String field(String name, String type) {
        return "{\"name\":\"" + name + "\",\"type\":" + type + "}";
    }

    private static String record(String name, String... fields) {
        return "{\"type\":\"record\",\"name\":\"" + name + "\",\"namespace\":\"clients\",\"fields\":["
                + String.join(",", fields) + "]}";
    }

    private static void expect(boolean holds, Object what) {
        if (!holds)
            throw new AssertionError("not as expected: " + what);
    }

    private static void refused(int code, Step step) throws Exception {
        try {
            step.run();
        } catch (RestClientException answer) {
            expect(answer.getErrorCode() == code && answer.getStatus() == Integer.parseInt(("" + code).substring(0, 3)), answer);
            return;
        }
        throw new AssertionError("not refused with " + code);
    }

    // A client that has nothing in its cache, of the last process.
    private CachedSchemaRegistryClient fresh() {
        return new CachedSchemaRegistryClient(urls.get(urls.size() - 1), 100);
    }

    // Waits until all processes answer alike: one that does not own the registry's topic reads a moment later.
    private void arrived(String path) throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        for (long end = System.currentTimeMillis() + 30_000;; ) {
            List<String> answers = new ArrayList<>();
            for (String url : urls)
                answers.add(http.send(HttpRequest.newBuilder(URI.create(url + path)).build(),
                        HttpResponse.BodyHandlers.ofString()).body());
            if (Set.copyOf(answers).size() == 1)
                return;
            expect(System.currentTimeMillis() < end, path + " is not alike everywhere");
        }
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    // Values through a topic, as bytes of the consumer.
    private List<byte[]> through(List<byte[]> values) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all().get();
        }
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties(), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (byte[] value : values)
                producer.send(new ProducerRecord<>(name, value));
        }
        List<byte[]> got = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties(), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = List.of(new TopicPartition(name, 0));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (long end = System.currentTimeMillis() + 60_000; got.size() < values.size() && System.currentTimeMillis() < end; )
                consumer.poll(Duration.ofSeconds(1)).forEach(record -> got.add(record.value()));
        }
        expect(got.size() == values.size(), got.size() + " records");
        return got;
    }

    private ConfluentRegistryAvroSerializationSchema<GenericRecord> writer(Schema schema) {
        return ConfluentRegistryAvroSerializationSchema.forGeneric(subject, schema, urls.get(0));
    }

    private ConfluentRegistryAvroDeserializationSchema<GenericRecord> reader(Schema schema) {
        return ConfluentRegistryAvroDeserializationSchema.forGeneric(schema, urls.get(urls.size() - 1));
    }

    private static Schema parsed(String text) {
        return new Schema.Parser().parse(text);
    }

    private static GenericRecord order(Schema schema, long id) {
        GenericRecord record = new GenericData.Record(schema);
        record.put("id", id);
        record.put("item", new Utf8("item " + id));
        return record;
    }

    // Flink's serializer, a topic, Flink's deserializer.
    private void wire() throws Exception {
        Schema schema = parsed(ORDER);
        List<byte[]> values = new ArrayList<>();
        ConfluentRegistryAvroSerializationSchema<GenericRecord> writer = writer(schema);
        for (long id = 0; id < 100; id++)
            values.add(writer.serialize(order(schema, id)));
        ConfluentRegistryAvroDeserializationSchema<GenericRecord> reader = reader(schema);
        long id = 0;
        for (byte[] value : through(values)) {
            ByteBuffer bytes = ByteBuffer.wrap(value);
            expect(bytes.get() == 0 && bytes.getInt() == registry.getLatestSchemaMetadata(subject).getId(), "header");
            expect(reader.deserialize(value).equals(order(schema, id++)), id);
        }
    }

    private void register() throws Exception {
        ParsedSchema schema = new AvroSchema(ORDER);
        int id = registry.register(subject, schema);
        expect(fresh().register(subject, schema) == id && fresh().getId(subject, schema) == id, id);
        expect(fresh().getVersion(subject, schema) == 1 && fresh().getSchemaById(id).equals(schema), "by id");
        expect(fresh().getSchemaBySubjectAndId(subject, id).equals(schema), "by subject and id");
        expect(fresh().getAllSubjectsById(id).contains(subject), "subjects");
        expect(fresh().getAllVersionsById(id).contains(new SubjectVersion(subject, 1)), "versions");
        expect(fresh().getAllSubjectsByPrefix(name).contains(subject), "prefix");
        expect(registry.registerWithResponse(subject, schema, true).getId() == id, "normalized");
        refused(40403, () -> fresh().getId(subject, new AvroSchema(ORDER_2)));
        refused(40401, () -> fresh().getLatestSchemaMetadata(name));
        refused(40402, () -> fresh().getSchemaMetadata(subject, 7));
    }

    // A reader with the newer schema reads what the older one wrote.
    private void evolve() throws Exception {
        byte[] value = through(List.of(writer(parsed(ORDER)).serialize(order(parsed(ORDER), 1)))).get(0);
        int newer = registry.register(subject, new AvroSchema(ORDER_2));
        arrived("/subjects/" + subject + "/versions");
        SchemaMetadata latest = fresh().getLatestSchemaMetadata(subject);
        expect(latest.getId() == newer && latest.getVersion() == 2, latest.getId());
        GenericRecord read = reader(parsed(ORDER_2)).deserialize(value);
        expect(read.get("count").equals(1) && read.get("id").equals(1L), read);
    }

    // What does not fit is refused, by registering and by asking.
    private void reject() throws Exception {
        registry.register(subject, new AvroSchema(ORDER));
        refused(40901, () -> registry.register(subject, new AvroSchema(ORDER_BAD)));
        expect(!fresh().testCompatibility(subject, new AvroSchema(ORDER_BAD)), "bad");
        expect(fresh().testCompatibility(subject, new AvroSchema(ORDER_2)), "good");
        List<String> messages = fresh().testCompatibilityVerbose(subject, new AvroSchema(ORDER_BAD));
        expect(messages.toString().contains("READER_FIELD_MISSING_DEFAULT_VALUE"), messages);
        try {
            writer(parsed(ORDER_BAD)).serialize(order(parsed(ORDER_BAD), 1));
        } catch (RuntimeException failure) {
            return;
        }
        throw new AssertionError("the serializer registered what does not fit");
    }

    // Softly and for good, a version and a subject.
    private void delete() throws Exception {
        String own = "R" + name.replace("-", "_");
        int first = registry.register(subject, new AvroSchema(record(own, field("x", "\"int\""))));
        registry.register(subject, new AvroSchema(record(own, field("x", "\"int\""), "{\"name\":\"y\",\"type\":\"int\",\"default\":1}")));
        refused(40407, () -> registry.deleteSchemaVersion(subject, "2", true));
        expect(registry.deleteSchemaVersion(subject, "2", false) == 2, "soft");
        arrived("/subjects/" + subject + "/versions");
        expect(fresh().getAllVersions(subject).equals(List.of(1)), "one is left");
        expect(fresh().getAllVersions(subject, true).equals(List.of(1, 2)), "both");
        expect(registry.deleteSubject(subject, false).equals(List.of(1)), "soft subject");
        arrived("/subjects");
        expect(!fresh().getAllSubjects().contains(subject) && fresh().getAllSubjects(true).contains(subject), "subjects");
        expect(fresh().getSchemaById(first).name().equals("clients." + own), "still read by id");
        expect(registry.deleteSubject(subject, true).equals(List.of(1, 2)), "hard subject");
        arrived("/schemas/ids/" + first);
        refused(40403, () -> fresh().getSchemaById(first));
    }

    // A schema of two subjects: the client asks for what it refers to. Flink's serializer registers schemas whole.
    private void references() throws Exception {
        String part = record("Part", field("name", "\"string\""));
        registry.register(name + "-part", new AvroSchema(part));
        SchemaReference reference = new SchemaReference("clients.Part", name + "-part", 1);
        AvroSchema whole = new AvroSchema(record("Whole", field("part", "\"clients.Part\"")), List.of(reference),
                Map.of("clients.Part", part), null);
        int id = registry.register(subject, whole);
        AvroSchema found = (AvroSchema) fresh().getSchemaById(id);
        expect(found.references().equals(List.of(reference)), found.references());
        GenericRecord inner = new GenericData.Record(found.rawSchema().getField("part").schema());
        inner.put("name", new Utf8("wheel"));
        GenericRecord value = new GenericData.Record(found.rawSchema());
        value.put("part", inner);
        byte[] sent = writer(found.rawSchema()).serialize(value);
        expect(reader(found.rawSchema()).deserialize(through(List.of(sent)).get(0)).equals(value), value);
        refused(42206, () -> registry.deleteSubject(name + "-part", false));
    }

    // Levels, modes and metadata of a subject.
    private void settings() throws Exception {
        expect(registry.updateConfig(subject, new Config("FULL")).getCompatibilityLevel().equals("FULL"), "config");
        arrived("/config/" + subject);
        expect(fresh().getConfig(subject).getCompatibilityLevel().equals("FULL"), "config");
        registry.deleteConfig(subject);
        arrived("/config/" + subject);
        refused(40408, () -> fresh().getConfig(subject));
        expect(registry.setMode("READONLY", subject).equals("READONLY"), "mode");
        refused(42205, () -> registry.register(subject, new AvroSchema(ORDER)));
        registry.deleteMode(subject);
        expect(registry.getMode().equals("READWRITE"), "mode of everything");
        Metadata major = new Metadata(null, Map.of("major", "1"), null);
        int id = registry.register(subject, new AvroSchema(ORDER, List.of(), Map.of(), major, null, null, false));
        expect(fresh().getLatestWithMetadata(subject, Map.of("major", "1"), false).getId() == id, "by its metadata");
    }

    private Step step(String name) throws IOException {
        return switch (name) {
            case "wire" -> this::wire;
            case "register" -> this::register;
            case "evolve" -> this::evolve;
            case "reject" -> this::reject;
            case "delete" -> this::delete;
            case "references" -> this::references;
            case "settings" -> this::settings;
            default -> throw new IOException("no step " + name);
        };
    }

    public static void main(String[] arguments) throws Exception {
        new Schemas(arguments[0], List.of(arguments[1].split(","))).step(arguments[2]).run();
    }
}
