package io.github.eventdedup.proof.audit.records;

import io.github.eventdedup.proof.system.ProofException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Records of one size on disk, in 256 files by their first byte: what is too much for memory comes back sorted, file by
 * file. The first bytes are those of a digest, which spread evenly. Takes 16 MiB of memory while it is written. Not
 * thread-safe.
 */
public final class BucketedRecords {

    public static final int COUNT = 256;

    private static final int BUFFER_BYTES = 64 << 10;

    /** A bucket that is larger, because one event came very often, is sorted where it lies. */
    private static final long MAX_ON_HEAP = 64L << 20;

    private final Path directory;
    private final int recordBytes;
    private final ByteBuffer[] buffers = new ByteBuffer[COUNT];
    private final int bufferBytes;

    /**
     * @param directory for the files, created here; deleting it is up to the caller
     * @param recordBytes of each record
     */
    public BucketedRecords(Path directory, int recordBytes) {
        this.directory = directory;
        this.recordBytes = recordBytes;
        bufferBytes = Math.max(1, BUFFER_BYTES / recordBytes) * recordBytes;
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw cannotWrite(e);
        }
    }

    /** A record to be filled, from {@link ByteBuffer#position()} on; to be filled before the next one is asked for. */
    public ByteBuffer next(byte firstByte) {
        int bucket = firstByte & 0xFF;
        ByteBuffer buffer = buffers[bucket];
        if (buffer == null) {
            buffer = ByteBuffer.allocate(bufferBytes);
            buffers[bucket] = buffer;
        } else if (!buffer.hasRemaining()) {
            write(bucket);
        }
        return buffer;
    }

    private void write(int bucket) {
        ByteBuffer buffer = buffers[bucket];
        // Opened each time: 256 files at once are more than some systems allow.
        try (FileChannel file = FileChannel.open(file(bucket), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            buffer.flip();
            while (buffer.hasRemaining()) {
                file.write(buffer);
            }
        } catch (IOException e) {
            throw cannotWrite(e);
        }
        buffer.clear();
    }

    private ProofException cannotWrite(IOException e) {
        return new ProofException(
                "cannot write to " + directory + " (" + e + "): name a directory with room by --temp", e);
    }

    /** Writes what is in memory, and lets go of the memory. To be called once everything is added. */
    public void finish() {
        for (int bucket = 0; bucket < COUNT; bucket++) {
            if (buffers[bucket] != null) {
                write(bucket);
                buffers[bucket] = null;
            }
        }
    }

    /**
     * The records that begin with this byte, in the order of their bytes.
     *
     * @param keyBytes how many bytes of them make the order, a multiple of four
     */
    public SortedRecords sorted(int bucket, int keyBytes) {
        Path file = file(bucket);
        try {
            if (!Files.exists(file)) {
                return new SortedRecords(ByteBuffer.allocate(0), recordBytes, keyBytes);
            }
            long size = Files.size(file);
            if (size <= MAX_ON_HEAP) {
                return new SortedRecords(ByteBuffer.wrap(Files.readAllBytes(file)), recordBytes, keyBytes);
            }
            if (size > Integer.MAX_VALUE) {
                throw new ProofException("one event is in the topic too often for an audit: " + file + " has " + size
                        + " bytes, at most 2 GiB can be sorted");
            }
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                return new SortedRecords(channel.map(FileChannel.MapMode.READ_WRITE, 0, size), recordBytes, keyBytes);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path file(int bucket) {
        return directory.resolve(Integer.toString(bucket));
    }
}
