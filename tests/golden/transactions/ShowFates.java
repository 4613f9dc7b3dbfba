// SPDX-License-Identifier: Apache-2.0
// Asks Apache Kafka's cleaner which batches of this folder's log it would discard; see README.md.
import java.io.File;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.storage.internals.log.AbortedTxn;
import org.apache.kafka.storage.internals.log.CleanedTransactionMetadata;
import org.apache.kafka.storage.internals.log.TransactionIndex;

public class ShowFates {
    static final Set<Long> gone = new HashSet<>();

    // One line per batch: its base offset and whether it can be discarded; then the index entries that are kept.
    static void round(FileRecords log, List<AbortedTxn> aborted, File scratch, PrintWriter out) throws Exception {
        Files.deleteIfExists(scratch.toPath());
        TransactionIndex kept = new TransactionIndex(0, scratch);
        CleanedTransactionMetadata metadata = new CleanedTransactionMetadata();
        metadata.setCleanedIndex(Optional.of(kept));
        metadata.addAbortedTransactions(aborted);
        int number = 0;
        for (RecordBatch batch : log.batches()) {
            number++;
            if (gone.contains(batch.baseOffset()))
                continue;
            boolean discard = batch.isControlBatch() ? metadata.onControlBatchRead(batch) : metadata.onBatchRead(batch);
            out.println("batch " + batch.baseOffset() + " " + (discard ? 1 : 0));
            if (!batch.isControlBatch() && (discard || number % 3 == 0))
                gone.add(batch.baseOffset()); // aborted, or as good as superseded
        }
        for (AbortedTxn one : kept.allAbortedTxns())
            out.println("entry " + one.producerId() + " " + one.firstOffset() + " " + one.lastOffset());
        kept.flush();
        kept.deleteIfExists();
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        TransactionIndex index = new TransactionIndex(0, dir.resolve("00000000000000000000.txnindex").toFile());
        List<AbortedTxn> aborted = index.allAbortedTxns();
        File scratch = Files.createTempFile("fates", ".txnindex").toFile();
        try (FileRecords log = FileRecords.open(dir.resolve("00000000000000000000.log").toFile(), false);
             PrintWriter out = new PrintWriter(dir.resolve("fates.txt").toFile())) {
            round(log, aborted, scratch, out);
            out.println("round");
            round(log, aborted, scratch, out);
        }
    }
}
