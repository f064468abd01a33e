package io.github.eventdedup.job;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * Which partitions rows belong to. An insert makes a part for each of them, and the table remembers so many parts only; so
 * it has to be known before. ClickHouse evaluates the table's partition key itself, over rows that are sent as external data
 * (ClickHouse documentation, "External data for query processing"), which its Java client does not do.
 *
 * <p>Not thread-safe.
 */
final class ClickHousePartitions {

    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    private final ClickHouseLogin login;
    private final Key key;
    private final String structure;
    private HttpClient http;

    /**
     * How the partition of a row is known.
     *
     * @param expression the table's partition key; empty where it has one partition
     * @param computable whether the columns that are filled are enough to compute it
     */
    record Key(String expression, boolean computable) implements Serializable {

        private static final long serialVersionUID = 1L;
    }

    ClickHousePartitions(ClickHouseLogin login, ClickHouseSchema schema) {
        this(login, schema.partitionKey(), schema.format());
    }

    private ClickHousePartitions(ClickHouseLogin login, Key key, RowBinary format) {
        this.login = login;
        this.key = key;
        structure = format.tableColumns().stream()
                .map(column -> "`" + column.column().name() + "` " + column.type())
                .collect(Collectors.joining(", "));
    }

    /**
     * Looks whether the filled columns are enough to compute the key.
     *
     * @throws IOException where ClickHouse does not answer
     */
    static Key keyOf(ClickHouseLogin login, String expression, RowBinary format)
            throws IOException, InterruptedException {
        if (expression.isEmpty()) {
            return new Key("", true);
        }
        HttpResponse<byte[]> answer =
                new ClickHousePartitions(login, new Key(expression, true), format).ask(format.header(), List.of());
        if (answer.statusCode() >= 500 && !isQueryError(answer)) {
            throw new IOException(message(answer));
        }
        return new Key(expression, answer.statusCode() == 200);
    }

    private static boolean isQueryError(HttpResponse<byte[]> answer) {
        return answer.headers().firstValue("X-ClickHouse-Exception-Code").isPresent();
    }

    /**
     * A number for each row, the same for rows of one partition. Where the key cannot be computed, each row has its own.
     *
     * @throws IOException where ClickHouse does not answer, or not as expected
     */
    long[] of(byte[] header, List<byte[]> rows) throws IOException, InterruptedException {
        long[] partitions = new long[rows.size()];
        if (key.expression.isEmpty()) {
            return partitions;
        }
        if (!key.computable) {
            for (int i = 0; i < partitions.length; i++) {
                partitions[i] = i;
            }
            return partitions;
        }
        HttpResponse<byte[]> answer = ask(header, rows);
        if (answer.statusCode() != 200 || answer.body().length != Long.BYTES * partitions.length) {
            throw new IOException(message(answer));
        }
        ByteBuffer.wrap(answer.body())
                .order(ByteOrder.LITTLE_ENDIAN)
                .asLongBuffer()
                .get(partitions);
        return partitions;
    }

    private HttpResponse<byte[]> ask(byte[] header, List<byte[]> rows) throws IOException, InterruptedException {
        if (http == null) {
            http = HttpClient.newBuilder()
                    .version(HttpClient.Version.HTTP_1_1)
                    .connectTimeout(TIMEOUT)
                    .build();
        }
        String query = "SELECT cityHash64(" + key.expression + ") FROM _rows SETTINGS max_threads = 1 FORMAT RowBinary";
        URI uri = URI.create(login.url() + (login.url().endsWith("/") ? "" : "/") + "?wait_end_of_query=1&query="
                + encoded(query) + "&_rows_format=RowBinaryWithNamesAndTypes&_rows_structure=" + encoded(structure));
        // Random, so that no row can hold it.
        String boundary = UUID.randomUUID().toString();
        HttpRequest request = HttpRequest.newBuilder(uri)
                .timeout(TIMEOUT)
                .header("X-ClickHouse-User", login.user())
                .header("X-ClickHouse-Key", ClickHouseLogin.PASSWORD.read())
                .header("X-ClickHouse-Database", login.database())
                .header("Content-Type", "multipart/form-data; boundary=" + boundary)
                .POST(HttpRequest.BodyPublishers.ofByteArray(body(boundary, header, rows)))
                .build();
        return http.send(request, HttpResponse.BodyHandlers.ofByteArray());
    }

    private static byte[] body(String boundary, byte[] header, List<byte[]> rows) throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(("--" + boundary
                        + "\r\nContent-Disposition: form-data; name=\"_rows\"; filename=\"_rows\"\r\n"
                        + "Content-Type: application/octet-stream\r\n\r\n")
                .getBytes(UTF_8));
        body.writeBytes(header);
        for (byte[] row : rows) {
            body.writeBytes(row);
        }
        body.writeBytes(("\r\n--" + boundary + "--\r\n").getBytes(UTF_8));
        return body.toByteArray();
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, UTF_8);
    }

    private static String message(HttpResponse<byte[]> answer) {
        String text = new String(answer.body(), UTF_8);
        return "HTTP " + answer.statusCode() + " "
                + text.substring(0, Math.min(text.length(), 300)).strip();
    }
}
