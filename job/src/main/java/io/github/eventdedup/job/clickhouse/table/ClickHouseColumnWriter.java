package io.github.eventdedup.job.clickhouse.table;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.eventdedup.event.ClickHouseType;
import io.github.eventdedup.event.Column;
import io.github.eventdedup.event.InvalidEventException;
import io.github.eventdedup.event.ReasonCode;
import java.io.IOException;
import java.io.Serializable;
import java.time.Instant;
import java.util.regex.Pattern;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * A column of a ClickHouse table: which JSON values fit it, and how they are written in ClickHouse's RowBinary format
 * (ClickHouse documentation, "Formats for input and output data").
 *
 * @param column the column and the field that fills it, read as what {@link ClickHouseType#reads} says
 * @param type the type that values are written as, as ClickHouse writes it
 * @param kind what is written
 * @param precision digits after the second, for {@link Kind#DATETIME64}
 * @param nullable whether NULL may be written
 * @param hasDefault whether ClickHouse replaces NULL by the column's DEFAULT
 */
record ClickHouseColumnWriter(
        Column column, String type, Kind kind, int precision, boolean nullable, boolean hasDefault)
        implements Serializable {

    private static final long serialVersionUID = 1L;

    private static final long MAX_UINT32 = (1L << 32) - 1;

    /** ClickHouse computes with these years only. */
    private static final Instant MIN_DATETIME64 = Instant.parse("1900-01-01T00:00:00Z");

    private static final Instant END_DATETIME64 = Instant.parse("2300-01-01T00:00:00Z");

    /** The types that can be written. */
    enum Kind {
        INT8("Int8", 1, Byte.MIN_VALUE, Byte.MAX_VALUE),
        INT16("Int16", 2, Short.MIN_VALUE, Short.MAX_VALUE),
        INT32("Int32", 4, Integer.MIN_VALUE, Integer.MAX_VALUE),
        INT64("Int64", 8, Long.MIN_VALUE, Long.MAX_VALUE),
        UINT8("UInt8", 1, 0, (1 << 8) - 1),
        UINT16("UInt16", 2, 0, (1 << 16) - 1),
        UINT32("UInt32", 4, 0, MAX_UINT32),
        /** Up to what fits into 63 bits: the reader of events has no larger integers. */
        UINT64("UInt64", 8, 0, Long.MAX_VALUE),
        FLOAT32("Float32", 4, 0, 0),
        FLOAT64("Float64", 8, 0, 0),
        BOOL("Bool", 1, 0, 0),
        STRING("String", 0, 0, 0),
        /** Whole seconds; fractions are cut off. */
        DATETIME("DateTime", 4, 0, MAX_UINT32),
        DATETIME64("DateTime64", 8, 0, 0);

        private final String typeName;
        private final int bytes;
        private final long min;
        private final long max;

        Kind(String typeName, int bytes, long min, long max) {
            this.typeName = typeName;
            this.bytes = bytes;
            this.min = min;
            this.max = max;
        }
    }

    private static final Pattern LOW_CARDINALITY = Pattern.compile("LowCardinality\\((.*)\\)");

    /**
     * The column that the table has for one of the stream definition; null where its type cannot be written.
     *
     * @param hasDefault whether the table has a DEFAULT for it; one that may be NULL is NULL where the field is
     */
    static ClickHouseColumnWriter of(Column column, String type, boolean hasDefault) {
        ClickHouseType parsed = ClickHouseType.of(type);
        for (Kind kind : Kind.values()) {
            if (parsed != null && kind.typeName.equals(parsed.name())) {
                Column read = new Column(column.name(), column.field(), parsed.reads());
                if (hasDefault && !parsed.nullable()) {
                    String written = "Nullable(" + LOW_CARDINALITY.matcher(type).replaceFirst("$1") + ")";
                    return new ClickHouseColumnWriter(read, written, kind, parsed.precision(), true, true);
                }
                return new ClickHouseColumnWriter(read, type, kind, parsed.precision(), parsed.nullable(), false);
            }
        }
        return null;
    }

    /** Appends a value as it stands in a row. */
    void write(Object value, DataOutputSerializer row) throws IOException, InvalidEventException {
        if (nullable) {
            row.writeByte(value == null ? 1 : 0);
            if (value == null) {
                return;
            }
        } else if (value == null) {
            throw new InvalidEventException(
                    ReasonCode.MISSING_FIELD,
                    "has no value in the field '" + column.field() + "', which the column '" + column.name()
                            + "' of type " + type + " must have");
        }
        switch (kind) {
            case STRING -> writeText(row, (String) value);
            case BOOL -> row.writeByte((Boolean) value ? 1 : 0);
            case FLOAT32 -> {
                float number = ((Double) value).floatValue();
                if (!Float.isFinite(number)) {
                    throw doesNotFit(value);
                }
                writeInteger(row, Float.floatToIntBits(number));
            }
            case FLOAT64 -> writeInteger(row, Double.doubleToLongBits((Double) value));
            case DATETIME -> writeInteger(row, inRange(((Instant) value).getEpochSecond(), value));
            case DATETIME64 -> writeInteger(row, ticks((Instant) value));
            default -> writeInteger(row, inRange((Long) value, value));
        }
    }

    /** A string with its length before it, as everywhere in this format. */
    static void writeText(DataOutputSerializer out, String text) throws IOException {
        byte[] utf8 = text.getBytes(UTF_8);
        writeVarint(out, utf8.length);
        out.write(utf8);
    }

    /** LEB128, unsigned. */
    static void writeVarint(DataOutputSerializer out, int number) throws IOException {
        int rest = number;
        for (; rest > 0x7F; rest >>>= 7) {
            out.writeByte((rest & 0x7F) | 0x80);
        }
        out.writeByte(rest);
    }

    private void writeInteger(DataOutputSerializer row, long littleEndian) throws IOException {
        for (int i = 0; i < kind.bytes; i++) {
            row.writeByte((int) (littleEndian >>> (8 * i)));
        }
    }

    private long inRange(long number, Object value) throws InvalidEventException {
        if (number < kind.min || number > kind.max) {
            throw doesNotFit(value);
        }
        return number;
    }

    private long ticks(Instant instant) throws InvalidEventException {
        if (instant.isBefore(MIN_DATETIME64) || !instant.isBefore(END_DATETIME64)) {
            throw doesNotFit(instant);
        }
        try {
            long ticks = Math.multiplyExact(instant.getEpochSecond(), powerOf10(precision));
            return Math.addExact(ticks, instant.getNano() / powerOf10(9 - precision));
        } catch (ArithmeticException e) {
            throw doesNotFit(instant);
        }
    }

    private static long powerOf10(int exponent) {
        long power = 1;
        for (int i = 0; i < exponent; i++) {
            power *= 10;
        }
        return power;
    }

    private InvalidEventException doesNotFit(Object value) {
        return new InvalidEventException(
                ReasonCode.WRONG_TYPE,
                "has " + value + " in the field '" + column.field() + "', which the column '" + column.name()
                        + "' of type " + type + " cannot hold");
    }
}
