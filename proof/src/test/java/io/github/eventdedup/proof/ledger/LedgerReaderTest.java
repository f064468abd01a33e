package io.github.eventdedup.proof.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.SortedRecords;
import io.github.eventdedup.proof.system.ProofException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LedgerReaderTest {

    private static final String FINGERPRINT = "ab".repeat(32);

    @TempDir
    private Path directory;

    private BucketedRecords acknowledgements;
    private LedgerReader ledger;

    @BeforeEach
    void start() {
        acknowledgements = new BucketedRecords(directory.resolve("buckets"), RecordLayout.POSITION_BYTES);
        ledger = new LedgerReader(acknowledgements);
    }

    private Path file(String text) throws Exception {
        return Files.writeString(directory.resolve("ledger.csv"), text);
    }

    @Test
    void countsOutcomesAndKeepsTheAcknowledged() throws Exception {
        ledger.read(file(Ledger.HEADER + "\n" + FINGERPRINT + ",acknowledged,3,77\n" + FINGERPRINT
                + ",unknown,,\n,invalid,,\n" + FINGERPRINT + ",acknowledged,0,0"));
        acknowledgements.finish();

        assertThat(ledger.acknowledged()).isEqualTo(2);
        assertThat(ledger.unknown()).isEqualTo(1);
        assertThat(ledger.invalid()).isEqualTo(1);
        SortedRecords records = acknowledgements.sorted(0xAB, RecordLayout.POSITION_BYTES);
        assertThat(records.count()).isEqualTo(2);
        assertThat(records.getInt(1, RecordLayout.PARTITION)).isEqualTo(3);
        assertThat(records.getLong(1, RecordLayout.OFFSET)).isEqualTo(77);
        assertThat(records.fingerprint(1)).hasToString(FINGERPRINT);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "FP,acknowledged,1|four parts",
                "FP,lost,1,2|the outcome must be",
                "FP,acknowledged,,|has a hexadecimal fingerprint, a partition and an offset",
                "FP,acknowledged,1,two|has a hexadecimal fingerprint, a partition and an offset",
                "FP,acknowledged,1,-2|a partition and an offset are 0 or more",
                "abc,acknowledged,1,2|64 hexadecimal digits",
                "FP |four parts"
            })
    void namesTheLineThatIsWrong(String line, String words) throws Exception {
        Path file = file(Ledger.HEADER + "\n" + FINGERPRINT + ",unknown,,\n" + line.replace("FP", FINGERPRINT) + "\n");

        assertThatThrownBy(() -> ledger.read(file))
                .isInstanceOf(ProofException.class)
                .hasMessageContaining("ledger.csv: line 3: ")
                .hasMessageContaining(words);
    }

    @Test
    void refusesAnotherFile() throws Exception {
        Path file = file("something else\n");

        assertThatThrownBy(() -> ledger.read(file)).hasMessageContaining("line 1: must be " + Ledger.HEADER);
        assertThatThrownBy(() -> ledger.read(directory.resolve("none")))
                .isInstanceOf(ProofException.class)
                .hasMessageContaining("cannot read the ledger");
    }
}
