package io.github.eventdedup.proof.audit;

import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.Fingerprint;
import io.github.eventdedup.event.FingerprintFunction;
import io.github.eventdedup.event.Outbox;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.audit.tables.PostgresRows;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.ProofException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** The rows of an outbox that are flagged as sent: each must be in the topic. */
final class SentRows {

    /** Those whose text in Postgres is what the fingerprint is made from. */
    private static final Set<Integer> TYPES =
            Set.of(Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.VARCHAR, Types.CHAR, Types.BIT, Types.BOOLEAN);

    private SentRows() {}

    /** Reads them; to be called before the end of the topic is fixed, for a row is flagged only once Kafka has it. */
    static BucketedRecords read(
            Endpoints endpoints, StreamDefinition stream, Path directory, StreamReport report, Progress progress) {
        Outbox outbox = stream.outbox();
        List<String> columns = new ArrayList<>();
        for (String field : stream.fingerprint()) {
            columns.add(outbox.fields().stream()
                    .filter(it -> it.name().equals(field))
                    .map(Outbox.Field::column)
                    .findFirst()
                    .orElseThrow(
                            () -> new ProofException("outbox of " + stream.stream() + ": nothing fills " + field)));
        }
        BucketedRecords rows = new BucketedRecords(directory, RecordLayout.SENT_BYTES);
        try (Connection connection = endpoints.postgres().connect()) {
            checkTypes(connection, outbox, columns);
            connection.setAutoCommit(false);
            FingerprintFunction function = new FingerprintFunction(stream.stream());
            String texts = columns.stream()
                    .map(column -> Identifiers.postgres(column) + "::text")
                    .collect(Collectors.joining(", "));
            String select = "SELECT " + Identifiers.postgres(outbox.id()) + ", " + texts + " FROM "
                    + Identifiers.postgresTable(outbox.table()) + " WHERE " + Identifiers.postgres(outbox.sent());
            try (PreparedStatement statement = connection.prepareStatement(select)) {
                statement.setFetchSize(5000);
                try (ResultSet row = statement.executeQuery()) {
                    while (row.next()) {
                        accept(row, columns.size(), function, rows, report);
                        progress.report("reading the table " + outbox.table(), ++report.sent, 0);
                    }
                }
            }
        } catch (SQLException e) {
            throw PostgresRows.cannotRead(endpoints, outbox.table(), e);
        }
        rows.finish();
        return rows;
    }

    private static void accept(
            ResultSet row, int columns, FingerprintFunction function, BucketedRecords rows, StreamReport report)
            throws SQLException {
        long id = row.getLong(1);
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < columns; i++) {
            texts.add(row.getString(2 + i));
        }
        if (texts.contains(null)) {
            report.offend(
                    "sent-missing", null, null, null, "row " + id + " is flagged as sent, and has no fingerprint");
            return;
        }
        Fingerprint fingerprint = function.apply(texts);
        byte[] bytes = fingerprint.bytes();
        rows.next(bytes[0]).put(bytes).putLong(id);
    }

    private static void checkTypes(Connection connection, Outbox outbox, List<String> columns) throws SQLException {
        String names = columns.stream().map(Identifiers::postgres).collect(Collectors.joining(", "));
        try (PreparedStatement statement = connection.prepareStatement(
                        "SELECT " + names + " FROM " + Identifiers.postgresTable(outbox.table()) + " WHERE FALSE");
                ResultSet none = statement.executeQuery()) {
            for (int i = 1; i <= columns.size(); i++) {
                if (!TYPES.contains(none.getMetaData().getColumnType(i))) {
                    throw new ProofException(
                            "cannot tell which rows of " + outbox.table() + " are in the topic: column '"
                                    + columns.get(i - 1) + "' is "
                                    + none.getMetaData().getColumnTypeName(i)
                                    + ", and the audit makes fingerprints of integers, text and booleans only");
                }
            }
        }
    }
}
