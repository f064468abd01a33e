package io.github.eventdedup.proof.audit.tables;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.PostgresTable;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.JsonDigest;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.RowDigest;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.ProofException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * A table in Postgres, read once from one end to the other: by its key it would be read in another order than it lies in.
 * Postgres sends the SHA-256 of a {@code json} document, which keeps the bytes as they were sent; a {@code jsonb} document
 * is compared as a JSON value ({@link JsonDigest}).
 */
public final class PostgresRows implements Rows {

    private final Endpoints endpoints;
    private final PostgresTable table;
    private final boolean jsonb;
    private final RowDigest digest = new RowDigest();
    private final JsonDigest jsonDigest = new JsonDigest();

    public PostgresRows(Endpoints endpoints, PostgresTable table) {
        this.endpoints = endpoints;
        this.table = table;
        jsonb = table.document() != null && table.document().type() == PostgresTable.Document.Type.JSONB;
    }

    @Override
    public List<Column> columns() {
        return table.columns();
    }

    @Override
    public void putExpected(List<Object> values, byte[] event, ByteBuffer target) {
        List<String> texts = new ArrayList<>();
        for (Object value : values) {
            texts.add(text(value));
        }
        digest.put(texts, target);
        putDocument(event, target);
        RowDigest.putTags(texts, target);
    }

    private void putDocument(byte[] event, ByteBuffer target) {
        digest.put(table.document() == null ? new byte[0] : jsonb ? jsonDigest.canonical(event) : event, target);
    }

    /** As {@link #select} has Postgres write it. */
    static String text(Object value) {
        if (value instanceof Double number) {
            return HexFormat.of().toHexDigits(Double.doubleToLongBits(number));
        }
        if (value instanceof Instant instant) {
            // Not by the difference of two instants, which Java computes in nanoseconds: they end in 2262.
            return Long.toString(
                    Math.addExact(Math.multiplyExact(instant.getEpochSecond(), 1_000_000L), instant.getNano() / 1000L));
        }
        return value == null ? null : value.toString();
    }

    @Override
    public BucketedRecords read(Path directory, StreamReport report, Progress progress) {
        int columns = table.columns().size();
        BucketedRecords rows = new BucketedRecords(directory, RecordLayout.postgresRowBytes(columns));
        try (Connection connection = endpoints.postgres().connect()) {
            connection.setAutoCommit(false);
            long about = estimate(connection);
            long read = 0;
            try (PreparedStatement select = connection.prepareStatement(select())) {
                // Documents of jsonb come as a whole, a quarter of a megabyte at most.
                select.setFetchSize(jsonb ? 200 : 5000);
                try (ResultSet row = select.executeQuery()) {
                    while (row.next()) {
                        accept(row, rows, report);
                        progress.report("reading the table " + table.name(), ++read, Math.max(about, read));
                    }
                }
            }
        } catch (SQLException e) {
            throw cannotRead(endpoints, table.name(), e);
        }
        rows.finish();
        return rows;
    }

    public static ProofException cannotRead(Endpoints endpoints, String table, SQLException e) {
        return new ProofException(
                "cannot read the table " + table + " of Postgres at "
                        + endpoints.postgres().url() + " as user '"
                        + endpoints.postgres().user() + "' (" + e.getMessage() + "); ./dedup status says what runs",
                e);
    }

    private void accept(ResultSet row, BucketedRecords rows, StreamReport report) throws SQLException {
        byte[] fingerprint = row.getBytes(1);
        if (fingerprint == null || fingerprint.length != Fingerprint.BYTES) {
            report.offend(
                    "extra",
                    row.getInt(2),
                    row.getLong(3),
                    fingerprint == null ? null : HexFormat.of().formatHex(fingerprint),
                    "a row whose fingerprint is none");
            return;
        }
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < table.columns().size(); i++) {
            texts.add(row.getString(6 + i));
        }
        ByteBuffer record = rows.next(fingerprint[0]);
        record.put(fingerprint)
                .putInt(row.getInt(2))
                .putLong(row.getLong(3))
                .putLong(micros(row.getString(4)))
                .putInt(row.getInt(5));
        digest.put(texts, record);
        int document = 6 + table.columns().size();
        if (jsonb) {
            digest.put(jsonDigest.canonical(row.getBytes(document)), record);
        } else if (table.document() != null) {
            byte[] sha256 = row.getBytes(document);
            record.put(sha256 == null ? new byte[RowDigest.BYTES] : sha256, 0, RowDigest.BYTES);
        } else {
            digest.put(new byte[0], record);
        }
        RowDigest.putTags(texts, record);
    }

    /** What no event can have, such as infinity, becomes a time that none has. */
    private static long micros(String text) {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            return Long.MIN_VALUE;
        }
    }

    private String select() {
        List<String> columns = new ArrayList<>(List.of(
                "\"fingerprint\"",
                "\"kafka_partition\"",
                "\"kafka_offset\"",
                microsOf("\"received_at\""),
                "\"escapes\""));
        for (Column column : table.columns()) {
            String name = Identifiers.postgres(column.name());
            columns.add(
                    switch (column.type()) {
                        case TEXT, BIGINT, BOOLEAN -> name + "::text";
                        case DOUBLE -> "encode(float8send(" + name + "), 'hex')";
                        case TIMESTAMP -> microsOf(name);
                    });
        }
        if (table.document() != null) {
            String name = Identifiers.postgres(table.document().column());
            columns.add(
                    jsonb
                            ? "convert_to(" + name + "::text, 'UTF8')"
                            : "sha256(convert_to(" + name + "::text, 'UTF8'))");
        }
        return "SELECT " + String.join(", ", columns) + " FROM " + Identifiers.postgresTable(table.name());
    }

    /** An exact number, whatever the time. */
    private static String microsOf(String column) {
        return "trim_scale(extract(epoch FROM " + column + ") * 1000000)::text";
    }

    private long estimate(Connection connection) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = ?::regclass")) {
            select.setString(1, Identifiers.postgresTable(table.name()));
            try (ResultSet row = select.executeQuery()) {
                return row.next() ? row.getLong(1) : 0;
            }
        }
    }
}
