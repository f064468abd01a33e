package io.github.eventdedup.proof.ledger;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.github.eventdedup.proof.system.ProofException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What became of each copy of an event that was sent, one line a copy: {@code fingerprint,outcome,partition,offset}. Only
 * what is not written yet is in memory. Not thread-safe. Methods throw {@link ProofException} where the file cannot be written.
 */
public final class Ledger implements AutoCloseable {

    public static final String HEADER = "fingerprint,outcome,partition,offset";

    private final Path file;
    private final OutputStream out;
    private final StringBuilder line = new StringBuilder();

    public Ledger(Path file) {
        this.file = file;
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
        } catch (IOException e) {
            throw failed(e);
        }
        write(HEADER);
    }

    /** The ingest has said where in the topic the copy is. */
    public void acknowledged(String fingerprint, int partition, long offset) {
        line.setLength(0);
        write(line.append(fingerprint)
                .append(",acknowledged,")
                .append(partition)
                .append(',')
                .append(offset));
    }

    /** The copy was sent, and it is unknown whether it is in the topic. */
    public void unknown(String fingerprint) {
        write(fingerprint + ",unknown,,");
    }

    /** The ingest has refused the copy for good. */
    public void invalid() {
        write(",invalid,,");
    }

    private void write(CharSequence text) {
        try {
            out.write(text.toString().getBytes(US_ASCII));
            out.write('\n');
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /** Hands what was written to the operating system. */
    public void flush() {
        try {
            out.flush();
        } catch (IOException e) {
            throw failed(e);
        }
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw failed(e);
        }
    }

    private ProofException failed(IOException e) {
        return new ProofException("cannot write the ledger " + file + " (" + e + ")", e);
    }
}
