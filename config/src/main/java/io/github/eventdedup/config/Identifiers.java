package io.github.eventdedup.config;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Quotes identifiers for SQL, so that reserved words and any character can be part of a name. */
public final class Identifiers {

    private Identifiers() {}

    /** A name for Postgres. */
    public static String postgres(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    /** A table for Postgres, {@code name} or {@code schema.name}. */
    public static String postgresTable(String table) {
        return Arrays.stream(table.split("\\.")).map(Identifiers::postgres).collect(Collectors.joining("."));
    }

    /** A name for ClickHouse. */
    public static String clickHouse(String name) {
        return '`' + name.replace("\\", "\\\\").replace("`", "\\`") + '`';
    }
}
