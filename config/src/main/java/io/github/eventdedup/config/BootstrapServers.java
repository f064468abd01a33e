package io.github.eventdedup.config;

import java.util.regex.Pattern;

/** The Kafka brokers that a client connects to first, {@code host:port,…}. */
public final class BootstrapServers {

    private static final Pattern SERVER = Pattern.compile("[^\\s:/]+:\\d{1,5}|\\[[0-9a-fA-F:]+]:\\d{1,5}");

    private BootstrapServers() {}

    /**
     * Accepts a list of brokers.
     *
     * @throws IllegalArgumentException where it is none; the message continues the name of the setting
     */
    public static void check(String servers) {
        for (String server : servers.split(",", -1)) {
            if (!SERVER.matcher(server.strip()).matches()) {
                throw new IllegalArgumentException("has '" + server + "'; write host:port,host:port,…");
            }
        }
    }
}
