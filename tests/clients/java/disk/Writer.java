// SPDX-License-Identifier: Apache-2.0
// Writes what a log directory should hold: idempotent batches of every codec and, unless told otherwise,
// transactions of two producers, interleaved, committed and aborted. Run from source by tests/clients/disk.py:
//   java -cp LIB/* Writer.java BOOTSTRAP TOPIC PARTITIONS ROUND [plain | keyed | both [TIMES]]
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Writer {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    static final int RECORDS = 250, TRANSACTIONS = 12, IN_TRANSACTION = 25;
    static String bootstrap, topic;
    static int partitions;
    static boolean keyed; // a compacted topic takes no other records
    static Random random;

    static KafkaProducer<byte[], byte[]> producer(String codec, String transactional) {
        Properties values = new Properties();
        values.put("bootstrap.servers", bootstrap);
        values.put("compression.type", codec);
        values.put("linger.ms", "2");
        if (transactional != null)
            values.put("transactional.id", transactional);
        return new KafkaProducer<>(values, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static void send(KafkaProducer<byte[], byte[]> producer, int count) {
        for (int i = 0; i < count; i++) {
            byte[] value = new byte[random.nextInt(3000)];
            random.nextBytes(value);
            byte[] key = !keyed && random.nextInt(4) == 0 ? null : ("key-" + random.nextInt(100)).getBytes();
            producer.send(new ProducerRecord<>(topic, random.nextInt(partitions), key, value));
        }
        producer.flush();
    }

    static void transactions(int round) {
        List<KafkaProducer<byte[], byte[]>> two = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            two.add(producer(CODECS[i * 3], "writer-" + round + "-" + i));
            two.get(i).initTransactions();
        }
        for (int i = 0; i < TRANSACTIONS; i++) {
            for (KafkaProducer<byte[], byte[]> one : two)
                one.beginTransaction();
            for (int part = 0; part < 3; part++)
                for (KafkaProducer<byte[], byte[]> one : two)
                    send(one, IN_TRANSACTION / 3);
            for (KafkaProducer<byte[], byte[]> one : two)
                if (random.nextBoolean())
                    one.abortTransaction();
                else
                    one.commitTransaction();
        }
        for (KafkaProducer<byte[], byte[]> one : two)
            one.close();
    }

    public static void main(String[] args) {
        bootstrap = args[0];
        topic = args[1];
        partitions = Integer.parseInt(args[2]);
        int round = Integer.parseInt(args[3]);
        int times = args.length > 5 ? Integer.parseInt(args[5]) : 1;
        keyed = args.length > 4 && args[4].equals("keyed");
        random = new Random(round);
        for (String codec : CODECS)
            try (KafkaProducer<byte[], byte[]> one = producer(codec, null)) {
                for (int i = 0; i < times; i++)
                    send(one, RECORDS);
            }
        for (int i = 0; i < times && (args.length < 5 || args[4].equals("both")); i++)
            transactions(round * 1000 + i);
    }
}
