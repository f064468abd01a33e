package io.github.eventdedup.servers;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The last lines in the log of a process that ended, as far as they give the reason. */
public final class LastWords {

    private static final int TAIL_BYTES = 256 << 10;
    private static final int LONGEST = 500;

    /** What ends a JVM whatever else it says on the way. */
    private static final Pattern OUT_OF_MEMORY = Pattern.compile("OutOfMemoryError|Cannot allocate memory");

    private static final Pattern ERROR =
            Pattern.compile("\\b(ERROR|FATAL|PANIC|No space left on device)\\b|^(Caused by: |Exception in thread)");

    private static final Pattern STACK = Pattern.compile("^\\s+(at |\\.\\.\\. \\d+ more).*");

    private LastWords() {}

    /**
     * The line of a log that tells most about an end: that memory ran out, otherwise the last error, otherwise the last line.
     *
     * @param begin where in the file to begin
     * @return empty where there is none
     */
    public static Optional<String> in(Path log, long begin) {
        List<String> lines = tail(log, begin).stream()
                .filter(line -> !line.isBlank() && !STACK.matcher(line).matches())
                .toList();
        return last(lines, OUT_OF_MEMORY)
                .or(() -> last(lines, ERROR))
                .or(() -> lines.isEmpty() ? Optional.empty() : Optional.of(lines.get(lines.size() - 1)))
                .map(String::strip)
                .map(line -> line.length() <= LONGEST ? line : line.substring(0, LONGEST) + " …");
    }

    /** The last place in the end of a log that a pattern finds; empty where there is none. */
    public static Optional<Matcher> matching(Path log, Pattern pattern) {
        return tail(log, 0).stream().map(pattern::matcher).filter(Matcher::find).reduce((first, second) -> second);
    }

    private static List<String> tail(Path log, long begin) {
        try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "r")) {
            long from = Math.max(begin, file.length() - TAIL_BYTES);
            byte[] tail = new byte[(int) Math.max(0, file.length() - from)];
            file.seek(from);
            file.readFully(tail);
            return new String(tail, StandardCharsets.UTF_8).lines().toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    private static Optional<String> last(List<String> lines, Pattern pattern) {
        return lines.stream().filter(line -> pattern.matcher(line).find()).reduce((first, second) -> second);
    }
}
