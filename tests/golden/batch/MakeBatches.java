// SPDX-License-Identifier: Apache-2.0
// Writes the fixtures of this folder with Apache Kafka's own classes; see README.md.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;

public class MakeBatches {
    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // The ten records every data fixture holds; tests/unit/kafka/test_batch.c builds the same.
    static void fill(MemoryRecordsBuilder builder) {
        for (int i = 0; i < 10; i++) {
            byte[] key = i % 3 == 0 ? null : i % 3 == 1 ? new byte[0] : bytes("key-" + i);
            byte[] value = i == 4 ? null : i == 5 ? new byte[0] : bytes(("value-" + i + ";").repeat(i * 7));
            Header[] headers = new Header[i % 4];
            for (int h = 0; h < headers.length; h++)
                headers[h] = new RecordHeader("h" + h, h == 1 ? null : bytes("header value " + h));
            builder.append(1700000000000L + (i % 2 == 0 ? i * 100 : -i), key, value, headers);
        }
    }

    static void write(Path dir, String name, ByteBuffer buffer) throws Exception {
        byte[] out = new byte[buffer.remaining()];
        buffer.duplicate().get(out);
        Files.write(dir.resolve(name), out);
    }

    static void data(Path dir, String name, Compression compression, long producerId, boolean transactional)
            throws Exception {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.CURRENT_MAGIC_VALUE, compression,
                TimestampType.CREATE_TIME, 4711L, RecordBatch.NO_TIMESTAMP, producerId,
                producerId < 0 ? RecordBatch.NO_PRODUCER_EPOCH : (short) 3,
                producerId < 0 ? RecordBatch.NO_SEQUENCE : 2147483640, transactional, 9);
        fill(builder);
        write(dir, name, builder.build().buffer());
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        data(dir, "none.bin", Compression.NONE, -1, false);
        data(dir, "idempotent.bin", Compression.NONE, 123456789012L, false);
        data(dir, "transactional.bin", Compression.NONE, 123456789012L, true);
        data(dir, "gzip.bin", Compression.gzip().build(), -1, false);
        data(dir, "snappy.bin", Compression.snappy().build(), -1, false);
        data(dir, "lz4.bin", Compression.lz4().build(), -1, false);
        data(dir, "zstd.bin", Compression.zstd().build(), -1, false);
        write(dir, "commit.bin", MemoryRecords.withEndTransactionMarker(4711L, 1700000000000L, 9, 123456789012L, (short) 3,
                new EndTransactionMarker(ControlRecordType.COMMIT, 42)).buffer());
        write(dir, "abort.bin", MemoryRecords.withEndTransactionMarker(4711L, 1700000000000L, 9, 123456789012L, (short) 3,
                new EndTransactionMarker(ControlRecordType.ABORT, 42)).buffer());
    }
}
