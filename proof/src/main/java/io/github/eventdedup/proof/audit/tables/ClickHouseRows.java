package io.github.eventdedup.proof.audit.tables;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.clickhouse.client.api.Client;
import com.clickhouse.client.api.ClientFaultCause;
import com.clickhouse.client.api.query.GenericRecord;
import com.clickhouse.client.api.query.QueryResponse;
import com.clickhouse.client.api.query.QuerySettings;
import com.clickhouse.data.ClickHouseFormat;
import io.github.eventdedup.config.Identifiers;
import io.github.eventdedup.event.ClickHouseTable;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.StreamDefinition;
import io.github.eventdedup.proof.audit.records.BucketedRecords;
import io.github.eventdedup.proof.audit.records.RecordLayout;
import io.github.eventdedup.proof.audit.records.RowDigest;
import io.github.eventdedup.proof.audit.records.StreamReport;
import io.github.eventdedup.proof.system.Endpoints;
import io.github.eventdedup.proof.system.Progress;
import io.github.eventdedup.proof.system.ProofException;
import io.github.eventdedup.proof.system.TopicReader;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A table in ClickHouse. A row does not say where it came from: rows are compared as a multiset. Where the table has all
 * fingerprint fields as columns, their values are the key by which a row that differs is told from one that is missing.
 *
 * <p>Columns that ClickHouse gives a DEFAULT where the event has null are not compared: what it was is ClickHouse's to know.
 */
public final class ClickHouseRows implements Rows {

    private final Endpoints.ClickHouse clickHouse;
    private final ClickHouseTable table;
    private final List<ClickHouseValue> values;
    private final int[] key;
    private final RowDigest digest = new RowDigest();

    /** Asks ClickHouse for the types of the columns. */
    public ClickHouseRows(Endpoints endpoints, StreamDefinition stream) {
        clickHouse = endpoints.clickHouse();
        table = (ClickHouseTable) stream.table();
        values = types();
        Set<String> fields = new HashSet<>();
        int[] ofFingerprint = IntStream.range(0, values.size())
                .filter(i ->
                        stream.fingerprint().contains(values.get(i).column().field()))
                .toArray();
        for (int i : ofFingerprint) {
            fields.add(values.get(i).column().field());
        }
        boolean hasAll = fields.size() == stream.fingerprint().size();
        key = hasAll ? ofFingerprint : IntStream.range(0, values.size()).toArray();
    }

    private Client connect() {
        return new Client.Builder()
                .addEndpoint(clickHouse.url())
                .setUsername(clickHouse.user())
                .setPassword(clickHouse.password())
                .setDefaultDatabase(clickHouse.database())
                .setClientName("proof")
                .setConnectTimeout(10, ChronoUnit.SECONDS)
                .setSocketTimeout(60, ChronoUnit.SECONDS)
                .setMaxRetries(0)
                .retryOnFailures(ClientFaultCause.None)
                .build();
    }

    private ProofException cannotRead(Throwable e) {
        Throwable said = e;
        while (said.getCause() != null) {
            said = said.getCause();
        }
        return new ProofException(
                "cannot read the table " + table.name() + " of ClickHouse at " + clickHouse.url()
                        + " as user '" + clickHouse.user() + "' (" + said.getMessage()
                        + "); ./dedup status says what runs, and --stream names the streams to audit without it",
                e);
    }

    private List<ClickHouseValue> types() {
        int dot = table.name().indexOf('.');
        Map<String, Object> names = new HashMap<>();
        names.put("database", dot < 0 ? clickHouse.database() : table.name().substring(0, dot));
        names.put("table", table.name().substring(dot + 1));
        Map<String, String> types = new HashMap<>();
        Set<String> withDefault = new HashSet<>();
        try (Client client = connect()) {
            for (GenericRecord row : client.queryAll(
                    "SELECT name, type, default_kind FROM system.columns"
                            + " WHERE database = {database:String} AND table = {table:String}",
                    names)) {
                types.put(row.getString("name"), row.getString("type"));
                if (row.getString("default_kind").equals("DEFAULT")) {
                    withDefault.add(row.getString("name"));
                }
            }
        } catch (RuntimeException e) {
            throw cannotRead(e);
        }
        List<ClickHouseValue> found = new ArrayList<>();
        for (Column column : table.columns()) {
            String type = types.get(column.name());
            ClickHouseValue value = type == null ? null : ClickHouseValue.of(column, type);
            if (value == null) {
                throw new ProofException("table " + table.name() + " of ClickHouse has no column '" + column.name()
                        + "' that a field can fill (" + type + ")");
            }
            if (value.nullable() || !withDefault.contains(column.name())) {
                found.add(value);
            }
        }
        if (found.isEmpty()) {
            throw new ProofException("table " + table.name()
                    + " of ClickHouse has a DEFAULT for every column that a field fills: its rows cannot be compared");
        }
        return found;
    }

    @Override
    public List<Column> columns() {
        return values.stream().map(ClickHouseValue::column).toList();
    }

    @Override
    public void putExpected(List<Object> row, byte[] event, ByteBuffer target) throws InvalidEventException {
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < values.size(); i++) {
            texts.add(values.get(i).text(row.get(i)));
        }
        put(texts, target);
        RowDigest.putTags(texts, target);
    }

    private void put(List<String> texts, ByteBuffer target) {
        List<String> ofKey = new ArrayList<>();
        for (int i : key) {
            ofKey.add(texts.get(i));
        }
        digest.put(ofKey, target);
        digest.put(texts, target);
    }

    @Override
    public BucketedRecords read(Path directory, StreamReport report, Progress progress) {
        BucketedRecords rows = new BucketedRecords(directory, RecordLayout.CLICKHOUSE_ROW_BYTES);
        String select = "SELECT " + values.stream().map(ClickHouseValue::select).collect(Collectors.joining(", "))
                + " FROM " + Identifiers.clickHouseTable(table.name());
        ByteBuffer digests = ByteBuffer.allocate(RecordLayout.CLICKHOUSE_ROW_BYTES);
        long read = 0;
        try (Client client = connect();
                QueryResponse response = client.query(select, new QuerySettings().setFormat(ClickHouseFormat.RowBinary))
                        .get();
                DataInputStream in = new DataInputStream(new BufferedInputStream(response.getInputStream(), 1 << 16))) {
            for (int isNull = in.read(); isNull >= 0; isNull = in.read()) {
                List<String> texts = new ArrayList<>();
                for (int i = 0; i < values.size(); i++) {
                    int none = i == 0 ? isNull : in.readUnsignedByte();
                    texts.add(none == 1 ? null : text(in));
                }
                put(texts, digests.clear());
                rows.next(digests.get(0)).put(digests.flip());
                progress.report("reading the table " + table.name(), ++read, 0);
            }
        } catch (ExecutionException e) {
            throw cannotRead(e.getCause());
        } catch (InterruptedException e) {
            throw TopicReader.interrupted(e);
        } catch (IOException | RuntimeException e) {
            throw e instanceof ProofException told ? told : cannotRead(e);
        } catch (Exception e) {
            throw cannotRead(e);
        }
        rows.finish();
        return rows;
    }

    /** A string with its length before it, as LEB128. */
    private static String text(DataInputStream in) throws IOException {
        int length = 0;
        int shift = 0;
        int part;
        do {
            part = in.readUnsignedByte();
            length |= (part & 0x7F) << shift;
            shift += 7;
        } while (part > 0x7F);
        return new String(in.readNBytes(length), UTF_8);
    }
}
