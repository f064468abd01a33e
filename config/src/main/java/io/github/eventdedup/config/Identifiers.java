package io.github.eventdedup.config;

import java.util.Arrays;
import java.util.function.UnaryOperator;
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
        return quoted(table, Identifiers::postgres);
    }

    /** A name for ClickHouse. */
    public static String clickHouse(String name) {
        return '`' + name.replace("\\", "\\\\").replace("`", "\\`") + '`';
    }

    /** A table for ClickHouse, {@code name} or {@code database.name}. */
    public static String clickHouseTable(String table) {
        return quoted(table, Identifiers::clickHouse);
    }

    private static String quoted(String table, UnaryOperator<String> quote) {
        return Arrays.stream(table.split("\\.")).map(quote).collect(Collectors.joining("."));
    }
}
