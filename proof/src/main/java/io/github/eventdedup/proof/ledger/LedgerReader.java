package io.github.eventdedup.proof.ledger;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.system.ProofException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * What a client was told: a line of {@code fingerprint,outcome,partition,offset} for each event that it sent. Only {@code
 * acknowledged} is a promise, that the event is in the topic at that position; what became of the {@code unknown} is open,
 * and the {@code invalid} were refused. Not thread-safe.
 */
public final class LedgerReader {

    /** What Kafka's producer says of the offset where it has not waited for the broker. */
    public static final long NO_OFFSET = -1;

    private static final int FINGERPRINT_DIGITS = 64;

    private final BucketedRecords acknowledgements;
    private long acknowledged;
    private long unknown;
    private long invalid;

    /** @param acknowledgements gets a record of {@link RecordLayout#POSITION_BYTES} for each */
    public LedgerReader(BucketedRecords acknowledgements) {
        this.acknowledgements = acknowledgements;
    }

    /** Reads a file. @throws ProofException where it is no ledger, with the line */
    public void read(Path file) {
        try (BufferedReader lines = Files.newBufferedReader(file, UTF_8)) {
            String header = lines.readLine();
            if (!Ledger.HEADER.equals(header)) {
                throw new ProofException(file + ": line 1: must be " + Ledger.HEADER);
            }
            long number = 2;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                try {
                    take(line);
                } catch (IllegalArgumentException e) {
                    throw new ProofException(file + ": line " + number + ": " + e.getMessage() + ": " + line, e);
                }
                number++;
            }
        } catch (IOException e) {
            throw new ProofException("cannot read the ledger " + file + " (" + e + ")", e);
        }
    }

    private void take(String line) {
        String[] parts = line.split(",", -1);
        if (parts.length != 4) {
            throw new IllegalArgumentException("must have four parts");
        }
        switch (parts[1]) {
            case "unknown" -> unknown++;
            case "invalid" -> invalid++;
            case "acknowledged" -> acknowledged(parts);
            default -> throw new IllegalArgumentException("the outcome must be acknowledged, unknown or invalid");
        }
    }

    private void acknowledged(String[] parts) {
        if (parts[0].length() != FINGERPRINT_DIGITS) {
            throw new IllegalArgumentException("a fingerprint has " + FINGERPRINT_DIGITS + " hexadecimal digits");
        }
        byte[] fingerprint;
        int partition;
        long offset;
        try {
            fingerprint = HexFormat.of().parseHex(parts[0]);
            partition = Integer.parseInt(parts[2]);
            offset = Long.parseLong(parts[3]);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "an acknowledged event has a hexadecimal fingerprint, a partition and an offset", e);
        }
        if (partition < NO_OFFSET || offset < NO_OFFSET) {
            throw new IllegalArgumentException(
                    "a partition and an offset are 0 or more, or -1 where the broker has not given one");
        }
        ByteBuffer entry = acknowledgements.next(fingerprint[0]);
        entry.put(fingerprint).putInt(partition).putLong(offset);
        acknowledged++;
    }

    public long acknowledged() {
        return acknowledged;
    }

    public long unknown() {
        return unknown;
    }

    public long invalid() {
        return invalid;
    }
}
