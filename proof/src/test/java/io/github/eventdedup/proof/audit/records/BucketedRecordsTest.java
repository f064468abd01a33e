package io.github.eventdedup.proof.audit.records;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BucketedRecordsTest {

    private static final int RECORD_BYTES = 20;
    private static final int KEY_BYTES = 12;

    @TempDir
    private Path directory;

    @Test
    void givesBackEveryRecordInTheUnsignedOrderOfItsKey() {
        BucketedRecords buckets = new BucketedRecords(directory.resolve("b"), RECORD_BYTES);
        Random random = new Random(1);
        Map<Long, Integer> sums = new HashMap<>();
        int count = 50_000;
        for (int i = 0; i < count; i++) {
            // Few keys in each bucket: many are equal, and half have the sign bit.
            long first = (long) random.nextInt(16) << 60 | random.nextInt(20);
            int second = random.nextInt(3) - 1;
            buckets.next((byte) (first >>> 56)).putLong(first).putInt(second).putLong(i);
            sums.merge(first, i, Integer::sum);
        }
        buckets.finish();

        int seen = 0;
        for (int bucket = 0; bucket < BucketedRecords.COUNT; bucket++) {
            SortedRecords records = buckets.sorted(bucket, KEY_BYTES);
            for (int i = 0; i < records.count(); i++) {
                assertThat(records.getLong(i, 0) >>> 56).isEqualTo(bucket);
                if (i > 0) {
                    assertThat(records.compare(i - 1, records, i, KEY_BYTES)).isNotPositive();
                }
                sums.merge(records.getLong(i, 0), -(int) records.getLong(i, 12), Integer::sum);
                seen++;
            }
        }
        assertThat(seen).isEqualTo(count);
        assertThat(sums.values()).containsOnly(0);
    }

    @Test
    void sortsWhatIsSortedOrAllEqualAlready() {
        for (boolean equal : new boolean[] {true, false}) {
            ByteBuffer bytes = ByteBuffer.allocate(200_000 * RECORD_BYTES);
            for (int i = 0; i < 200_000; i++) {
                bytes.putLong(equal ? 7 : i).putInt(0).putLong(i);
            }
            SortedRecords records = new SortedRecords(bytes, RECORD_BYTES, KEY_BYTES);
            assertThat(records.end(0, KEY_BYTES)).isEqualTo(equal ? 200_000 : 1);
            assertThat(records.getLong(199_999, 0)).isEqualTo(equal ? 7 : 199_999);
        }
    }

    @Test
    void cursorsMeetAtEachKeyThatOneOfThemHas() {
        MergeCursor left = new MergeCursor(records(1, 1, 3, -1));
        MergeCursor right = new MergeCursor(records(2, 3, 3));
        List<String> groups = new ArrayList<>();

        while (MergeCursor.next(Long.BYTES, left, right)) {
            groups.add(left.size() + ":" + right.size());
        }

        assertThat(groups).containsExactly("2:0", "0:1", "1:2", "1:0");
    }

    private static SortedRecords records(long... keys) {
        ByteBuffer bytes = ByteBuffer.allocate(keys.length * Long.BYTES);
        for (long key : keys) {
            bytes.putLong(key);
        }
        return new SortedRecords(bytes, Long.BYTES, Long.BYTES);
    }
}
