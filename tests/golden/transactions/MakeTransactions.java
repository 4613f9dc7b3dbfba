// SPDX-License-Identifier: Apache-2.0
// Writes the fixtures of this folder with Apache Kafka's own classes; see README.md.
import java.io.File;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Random;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.log.AbortedTxn;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.CompletedTxn;
import org.apache.kafka.storage.internals.log.ProducerAppendInfo;
import org.apache.kafka.storage.internals.log.ProducerStateManager;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.TransactionIndex;

public class MakeTransactions {
    static final int PRODUCERS = 6, BATCHES = 150;
    static final Random RANDOM = new Random(7);
    static final boolean[] open = new boolean[PRODUCERS];
    static final int[] sequences = new int[PRODUCERS];
    static final short[] epochs = new short[PRODUCERS];

    static MemoryRecords data(int producer, long offset, boolean transactional) {
        int records = 1 + RANDOM.nextInt(4);
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), RecordBatch.CURRENT_MAGIC_VALUE,
                RANDOM.nextInt(3) == 0 ? Compression.gzip().build() : Compression.NONE, TimestampType.CREATE_TIME, offset,
                RecordBatch.NO_TIMESTAMP, 1000 + producer, epochs[producer], sequences[producer], transactional, 3);
        for (int i = 0; i < records; i++)
            builder.append(1700000000000L + offset + i, null, ("record " + (offset + i)).getBytes(StandardCharsets.UTF_8));
        sequences[producer] += records;
        return builder.build();
    }

    // Every third marker raises the producer's epoch, as those of KIP-890 do.
    static MemoryRecords marker(int producer, long offset) {
        ControlRecordType type = RANDOM.nextBoolean() ? ControlRecordType.ABORT : ControlRecordType.COMMIT;
        if (RANDOM.nextInt(3) == 0) {
            epochs[producer]++;
            sequences[producer] = 0;
        }
        return MemoryRecords.withEndTransactionMarker(offset, 1700000000000L + offset, 3, 1000 + producer,
                epochs[producer], new EndTransactionMarker(type, 40 + RANDOM.nextInt(3)));
    }

    // What may come next: records of a transaction or none, or a marker, also one of a transaction without records.
    static MemoryRecords next(long offset) {
        int producer = RANDOM.nextInt(PRODUCERS);
        if (producer == 0)
            return data(0, offset, false);
        if (RANDOM.nextInt(4) == 0 && offset > 0) {
            open[producer] = false;
            return marker(producer, offset);
        }
        open[producer] = true;
        return data(producer, offset, true);
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        Path log = dir.resolve("00000000000000000000.log"), index = dir.resolve("00000000000000000000.txnindex");
        Files.deleteIfExists(log);
        Files.deleteIfExists(index);
        ProducerStateManager manager = new ProducerStateManager(new TopicPartition("t", 0), dir.toFile(), 60000,
                new ProducerStateManagerConfig(86400000, false), Time.SYSTEM);
        TransactionIndex transactions = new TransactionIndex(0, new File(index.toString()));
        long offset = 0, watermark = 0;
        try (FileChannel channel = FileChannel.open(log, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
             PrintWriter steps = new PrintWriter(dir.resolve("steps.txt").toFile());
             PrintWriter lookups = new PrintWriter(dir.resolve("lookups.txt").toFile())) {
            for (int i = 0; i < BATCHES; i++) {
                MemoryRecords records = next(offset);
                MutableRecordBatch batch = records.batches().iterator().next();
                records.writeFullyTo(channel);
                ProducerAppendInfo info = manager.prepareUpdate(batch.producerId(), AppendOrigin.REPLICATION);
                Optional<CompletedTxn> completed = info.append(batch, Optional.empty());
                manager.update(info);
                if (completed.isPresent()) {
                    if (completed.get().isAborted())
                        transactions.append(new AbortedTxn(completed.get(), manager.lastStableOffset(completed.get())));
                    manager.completeTxn(completed.get());
                }
                offset = batch.nextOffset();
                manager.updateMapEndOffset(offset);
                watermark += RANDOM.nextInt((int) (offset - watermark) + 1);
                manager.onHighWatermarkUpdated(watermark);
                steps.println(watermark + " " + manager.firstUnstableOffset().map(m -> m.messageOffset).orElse(-1L));
            }
            for (int i = 0; i < 60; i++) {
                long from = RANDOM.nextInt((int) offset), to = from + 1 + RANDOM.nextInt((int) (offset - from));
                StringBuilder line = new StringBuilder(from + " " + to);
                for (AbortedTxn one : transactions.collectAbortedTxns(from, to).abortedTransactions())
                    line.append(" ").append(one.producerId()).append(":").append(one.firstOffset());
                lookups.println(line);
            }
        }
        transactions.flush();
        manager.takeSnapshot();
    }
}
