package io.github.eventdedup.config;

import java.util.regex.Pattern;

/** The URL of ClickHouse's HTTP interface: only the server, because users are logged. */
public final class ClickHouseUrl {

    private static final Pattern URL = Pattern.compile("https?://[^/@?#\\s]+/?");

    private ClickHouseUrl() {}

    /**
     * Accepts a URL.
     *
     * @throws IllegalArgumentException where it cannot be used; the message continues the name of the setting and does
     *     not quote the value, which may hold a password
     */
    public static void check(String url) {
        if (!URL.matcher(url).matches()) {
            throw new IllegalArgumentException(
                    "must be a URL such as http://127.0.0.1:8123, without user, database or settings");
        }
    }
}
