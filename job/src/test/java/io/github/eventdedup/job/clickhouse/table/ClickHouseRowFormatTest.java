package io.github.eventdedup.job.clickhouse.table;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.ColumnType;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.job.clickhouse.ClickHouseSinkIT;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Expected bytes are written out; that ClickHouse reads them so, {@link ClickHouseSinkIT} shows. */
class ClickHouseRowFormatTest {

    @Test
    void aLoginIsWrittenInItsColumnsOrder() throws Exception {
        ClickHouseRowFormat format = new ClickHouseRowFormat(
                List.of(column("id", "UInt32"), column("username", "String"), column("event_time", "DateTime")));

        assertThat(hex(format.encode(List.of(621L, "ю", Instant.ofEpochSecond(1_762_955_631)))))
                .isEqualTo("6d020000" + "02d18e" + "6f911469");
        assertThat(new String(format.header(), UTF_8))
                .isEqualTo("\3\2id\10username\12event_time\6UInt32\6String\10DateTime");
        assertThat(format.columns())
                .extracting(Column::type)
                .containsExactly(ColumnType.BIGINT, ColumnType.TEXT, ColumnType.TIMESTAMP);
    }

    @ParameterizedTest
    @CsvSource({
        "Int8, -128, 80",
        "Int8, 127, 7f",
        "Int16, -2, feff",
        "Int32, -2, feffffff",
        "Int64, -2, feffffffffffffff",
        "UInt8, 255, ff",
        "UInt16, 65535, ffff",
        "UInt32, 4294967295, ffffffff",
        "UInt64, 9223372036854775807, ffffffffffffff7f",
        "LowCardinality(UInt8), 1, 01",
        "Nullable(UInt8), 1, 0001",
        "LowCardinality(Nullable(UInt8)), 1, 0001"
    })
    void integers(String type, long value, String expected) throws Exception {
        assertThat(hex(encode(type, value))).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "Int8, 128",
        "Int8, -129",
        "Int16, 32768",
        "Int32, 2147483648",
        "UInt8, 256",
        "UInt8, -1",
        "UInt16, 65536",
        "UInt32, 4294967296",
        "UInt32, -1",
        "UInt64, -1"
    })
    void integersThatDoNotFitAreRefused(String type, long value) {
        assertThatThrownBy(() -> encode(type, value))
                .isInstanceOf(InvalidEventException.class)
                .hasMessage(
                        "has " + value + " in the field 'f', which the column 'c' of type " + type + " cannot hold");
    }

    @Test
    void otherTypes() throws Exception {
        assertThat(hex(encode("Float32", 1.5))).isEqualTo("0000c03f");
        assertThat(hex(encode("Float64", -0.5))).isEqualTo("000000000000e0bf");
        assertThat(hex(encode("Bool", true))).isEqualTo("01");
        assertThat(hex(encode("String", ""))).isEqualTo("00");
        assertThat(hex(encode("String", "x".repeat(300)))).startsWith("ac02" + "78".repeat(300));
        assertThat(hex(encode("Nullable(String)", null))).isEqualTo("01");
    }

    @Test
    void times() throws Exception {
        Instant time = Instant.parse("2025-11-12T13:53:51.123456Z");
        assertThat(hex(encode("DateTime('Europe/Berlin')", time))).isEqualTo("6f911469");
        assertThat(encode("DateTime64(3)", time)).isEqualTo(encode("Int64", 1_762_955_631_123L));
        assertThat(encode("DateTime64(9, 'UTC')", time)).isEqualTo(encode("Int64", 1_762_955_631_123_456_000L));
        assertThat(encode("DateTime64(0)", time)).isEqualTo(encode("Int64", 1_762_955_631L));
        Instant before1970 = Instant.parse("1969-12-31T23:59:59.75Z");
        assertThat(encode("DateTime64(3)", before1970)).isEqualTo(encode("Int64", -250L));
        for (String type : List.of("DateTime", "DateTime64(3)")) {
            for (String outside : List.of("1899-12-31T23:59:59Z", "2300-01-01T00:00:00Z")) {
                assertThatThrownBy(() -> encode(type, Instant.parse(outside))).hasMessageContaining("cannot hold");
            }
        }
        assertThatThrownBy(() -> encode("DateTime", before1970)).hasMessageContaining("cannot hold");
        assertThatThrownBy(() -> encode("DateTime64(9)", Instant.parse("2299-01-01T00:00:00Z")))
                .hasMessageContaining("cannot hold");
        assertThatThrownBy(() -> encode("Float32", 1e300)).hasMessageContaining("cannot hold");
    }

    @Test
    void aMissingValueNeedsANullableColumn() {
        assertThatThrownBy(() -> encode("String", null))
                .isInstanceOf(InvalidEventException.class)
                .hasMessage("has no value in the field 'f', which the column 'c' of type String must have");
    }

    @Test
    void aColumnWithADefaultIsWrittenByASelect() throws Exception {
        ClickHouseRowFormat format = new ClickHouseRowFormat(List.of(
                ClickHouseColumnWriter.of(new Column("a", "f", ColumnType.TEXT), "LowCardinality(String)", true),
                ClickHouseColumnWriter.of(new Column("b", "f", ColumnType.TEXT), "DateTime('UTC')", true),
                ClickHouseColumnWriter.of(new Column("c", "f", ColumnType.TEXT), "Nullable(Int8)", true)));

        assertThat(format.target("t"))
                .isEqualTo("t (`a`, `b`, `c`) SELECT `a`, `b`, `c` FROM input('`a` Nullable(String),"
                        + " `b` Nullable(DateTime(\\'UTC\\')), `c` Nullable(Int8)')");
        assertThat(hex(format.encode(Arrays.asList("x", null, null)))).isEqualTo("00" + "0178" + "01" + "01");
        assertThat(new ClickHouseRowFormat(List.of(column("a", "String"))).target("t"))
                .isEqualTo("t");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"Array(String)", "Decimal(9, 2)", "UInt256", "DateTime64", "Enum8('a' = 1)", "Nullable(Date)"})
    void otherColumnsCannotBeWritten(String type) {
        assertThat(ClickHouseColumnWriter.of(new Column("c", "f", ColumnType.TEXT), type, false))
                .isNull();
    }

    private static byte[] encode(String type, Object value) throws InvalidEventException {
        return new ClickHouseRowFormat(List.of(column("c", type))).encode(Arrays.asList(value));
    }

    private static ClickHouseColumnWriter column(String name, String type) {
        return ClickHouseColumnWriter.of(new Column(name, "f", ColumnType.TEXT), type, false);
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
