package io.github.eventdedup.job.clickhouse.table;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.config.Environment;
import io.github.eventdedup.config.Secret;
import io.github.eventdedup.job.settings.ClickHouseLogin;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.UUID;

/**
 * Asks ClickHouse about rows without storing them: they travel with the query as the table {@code _rows} (ClickHouse
 * documentation, "External data for query processing"), which ClickHouse's Java client does not do.
 *
 * <p>Not thread-safe.
 */
final class ClickHouseExternalRows {

    private static final Duration TIMEOUT = Duration.ofSeconds(60);
    private static final int CONTENT_TOO_LARGE = 413;

    private final ClickHouseLogin login;
    private final ClickHouseRowFormat format;
    private HttpClient http;

    ClickHouseExternalRows(ClickHouseLogin login, ClickHouseRowFormat format) {
        this.login = login;
        this.format = format;
    }

    /**
     * What was answered.
     *
     * @param status HTTP's
     * @param code ClickHouse's error code; 0 where there is no error, or it is that of a proxy
     */
    record Answer(int status, int code, byte[] body) {

        boolean isOk() {
            return status == 200;
        }

        /** Whether a proxy in front of ClickHouse accepts only fewer rows at a time. */
        boolean isTooLarge() {
            return status == CONTENT_TOO_LARGE;
        }

        String message() {
            String text = new String(body, UTF_8);
            return "HTTP " + status + " "
                    + text.substring(0, Math.min(text.length(), 300)).strip();
        }
    }

    /**
     * Sends rows and a query.
     *
     * @param query over {@code _rows}, with its output format
     * @throws IOException where there was no answer
     */
    Answer ask(String query, List<byte[]> rows) throws IOException, InterruptedException {
        if (http == null) {
            http = HttpClient.newBuilder()
                    .version(HttpClient.Version.HTTP_1_1)
                    .connectTimeout(TIMEOUT)
                    .build();
        }
        URI uri = URI.create(login.url() + (login.url().endsWith("/") ? "" : "/") + "?wait_end_of_query=1&query="
                + encoded(query) + "&_rows_format=RowBinaryWithNamesAndTypes&_rows_structure="
                + encoded(format.structure()));
        // Random, so that no row can hold it.
        String boundary = UUID.randomUUID().toString();
        HttpRequest request = HttpRequest.newBuilder(uri)
                .timeout(TIMEOUT)
                .header("X-ClickHouse-User", login.user())
                .header("X-ClickHouse-Key", Secret.ofThisProcess(Environment.CLICKHOUSE_PASSWORD))
                .header("X-ClickHouse-Database", login.database())
                .header("Content-Type", "multipart/form-data; boundary=" + boundary)
                .POST(HttpRequest.BodyPublishers.ofByteArray(body(boundary, rows)))
                .build();
        HttpResponse<byte[]> answer = http.send(request, HttpResponse.BodyHandlers.ofByteArray());
        int code = answer.headers()
                .firstValue("X-ClickHouse-Exception-Code")
                .map(Integer::parseInt)
                .orElse(0);
        return new Answer(answer.statusCode(), code, answer.body());
    }

    private byte[] body(String boundary, List<byte[]> rows) {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(("--" + boundary
                        + "\r\nContent-Disposition: form-data; name=\"_rows\"; filename=\"_rows\"\r\n"
                        + "Content-Type: application/octet-stream\r\n\r\n")
                .getBytes(UTF_8));
        body.writeBytes(format.header());
        for (byte[] row : rows) {
            body.writeBytes(row);
        }
        body.writeBytes(("\r\n--" + boundary + "--\r\n").getBytes(UTF_8));
        return body.toByteArray();
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, UTF_8);
    }
}
